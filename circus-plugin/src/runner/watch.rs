//! Directories in which the kernel tells of changes.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};

use crate::machine::Input;

/// The directories watched at present.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    inputs: mpsc::Sender<Input>,
}

impl Watch {
    pub const fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { watcher: None, watched: BTreeSet::new(), inputs }
    }

    /// Watches these, the second ones with all below them, and no others.
    pub fn set(&mut self, flat: &[PathBuf], deep: &[PathBuf]) {
        if self.try_set(flat, deep).is_err() {
            self.watcher = None;
            self.watched.clear();
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(Input::CannotWatch).await });
        }
    }

    fn try_set(&mut self, flat: &[PathBuf], deep: &[PathBuf]) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            None => self.watcher.insert(new_watcher(self.inputs.clone())?),
        };
        for path in std::mem::take(&mut self.watched) {
            // It may be gone, and its watch with it.
            let _ = watcher.unwatch(&path);
        }
        let flat = flat.iter().map(|path| (path, RecursiveMode::NonRecursive));
        let deep = deep.iter().map(|path| (path, RecursiveMode::Recursive));
        for (path, mode) in flat.chain(deep) {
            match watcher.watch(path, mode) {
                Ok(()) => drop(self.watched.insert(path.clone())),
                // What is not there yet cannot change; what cannot be read is no worse than not there.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound | ErrorKind::Io(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Many changes at once are one notice.
fn new_watcher(inputs: mpsc::Sender<Input>) -> notify::Result<RecommendedWatcher> {
    let notice = Arc::new(Notify::new());
    let teller = Arc::clone(&notice);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error is an overflow of the queue: then something changed too.
        if event.map_or(true, |event| !event.kind.is_access()) {
            teller.notify_one();
        }
    })?;
    tokio::spawn(async move {
        loop {
            notice.notified().await;
            if inputs.send(Input::Touched).await.is_err() {
                return;
            }
        }
    });
    Ok(watcher)
}
