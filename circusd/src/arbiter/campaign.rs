//! Work on several watchers in the order of their priorities: start-up, start-all, restart of several, reload-all.
//!
//! With a global warm-up delay one watcher is started after the other; without, watchers of equal priority do not
//! wait for each other and a lower one begins when the higher ones let it.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Arbiter,
    id::WatcherId,
    operation::{Kind, Outcome, Tally, Waiter},
    time::Timestamp,
};

/// Campaigns at one time: each may wait for hours, and all of them are looked at after every input.
const MOST: usize = 64;

/// Work on several watchers.
#[derive(Debug)]
pub(super) struct Campaign {
    /// What is done with each.
    pub kind: Kind,
    /// The request it answers, if any.
    pub pending: Option<u64>,
    /// Those to be stopped before the first start (a restart of several).
    pub stopping: BTreeSet<WatcherId>,
    /// Those still to be begun, highest priority first.
    pub left: VecDeque<WatcherId>,
    /// Those begun and not done.
    pub going: BTreeSet<WatcherId>,
    /// No start before this: the global warm-up delay.
    pub hold_until: Timestamp,
}

impl Campaign {
    /// One that begins with the first of these.
    pub fn new(kind: Kind, order: VecDeque<WatcherId>, pending: Option<u64>) -> Self {
        Self {
            kind,
            pending,
            stopping: BTreeSet::new(),
            left: order,
            going: BTreeSet::new(),
            hold_until: Timestamp::default(),
        }
    }

    /// Whether all is done.
    pub fn is_over(&self) -> bool {
        self.stopping.is_empty() && self.left.is_empty() && self.going.is_empty()
    }
}

impl Arbiter {
    /// Whether there may be no further one.
    pub(super) fn has_many_campaigns(&self) -> bool {
        self.campaigns.len() >= MOST
    }

    pub(super) fn begin_campaign(&mut self, campaign: Campaign) {
        let number = self.number();
        self.campaigns.insert(number, campaign);
    }

    /// Stops these, then starts those of them that start by themselves.
    pub(super) fn begin_restart(&mut self, watchers: &[WatcherId], pending: Option<u64>) {
        let number = self.number();
        let order = self.autostarting(watchers.to_vec());
        // The stops come first, so that they do not withdraw the starts that follow.
        for id in self.by_priority(false).into_iter().filter(|id| watchers.contains(id)) {
            self.ask_watcher(id, Kind::Stop, Some(Waiter::Campaign(number)));
            // At once: settled together later, their signals would leave in order of creation.
            self.settle(id);
        }
        let mut campaign = Campaign::new(Kind::Start, order, pending);
        campaign.stopping = watchers.iter().copied().collect();
        self.campaigns.insert(number, campaign);
    }

    pub(super) fn step_campaigns(&mut self) {
        let numbers: Vec<u64> = self.campaigns.keys().copied().collect();
        for number in numbers {
            while let Some(id) = self.next_of_campaign(number) {
                let Some(campaign) = self.campaigns.get_mut(&number) else { break };
                campaign.left.pop_front();
                campaign.going.insert(id);
                let kind = campaign.kind;
                // What has gone down by itself before its turn is left alone.
                if matches!(kind, Kind::Reload { .. })
                    && !self.watchers.get(&id).is_some_and(|watcher| watcher.is_active())
                {
                    let name = self.watchers.get(&id).map_or("", |watcher| &watcher.config.name).to_owned();
                    self.out.complete(Waiter::Campaign(number), id, &name, Outcome::Done(Tally::default()));
                    continue;
                }
                self.ask_watcher(id, kind, Some(Waiter::Campaign(number)));
                // Settled at once, so that the next one's turn is judged by what this one has come to.
                self.settle(id);
            }
            if self.campaigns.get(&number).is_some_and(Campaign::is_over) {
                self.campaigns.remove(&number);
            }
        }
    }

    /// The watcher whose turn it is, if it may begin now.
    pub(super) fn next_of_campaign(&self, number: u64) -> Option<WatcherId> {
        let campaign = self.campaigns.get(&number)?;
        let next = *campaign.left.front()?;
        if !campaign.stopping.is_empty()
            || campaign.hold_until > self.out.now.mono && self.is_one_by_one(campaign)
        {
            return None;
        }
        let Some(watcher) = self.watchers.get(&next) else { return Some(next) };
        let open =
            if self.is_one_by_one(campaign) {
                campaign.going.is_empty()
            } else {
                campaign.going.iter().filter_map(|id| self.watchers.get(id)).all(|other| {
                    other.config.priority <= watcher.config.priority || other.lets_others_start()
                })
            };
        open.then_some(next)
    }

    pub(super) fn is_one_by_one(&self, campaign: &Campaign) -> bool {
        self.config.circus.warmup_delay > 0 || matches!(campaign.kind, Kind::Reload { .. })
    }
}
