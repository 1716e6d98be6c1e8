//! A ROUTER that sends everything back as it came: what the transport itself takes.

use circus_common::{config::endpoint::Endpoint, transport::Router};
use tokio::runtime::Builder;

use crate::failure::Failure;

/// Listens until it is killed.
///
/// # Errors
/// It cannot listen.
pub fn run(endpoint: &str) -> Result<(), Failure> {
    let broken = |error: &dyn std::error::Error| Failure::Broken(error.to_string());
    let endpoint = Endpoint::parse(endpoint).map_err(|error| broken(&error))?;
    // As circusd has it: one thread for all.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = Router::new().map_err(|error| broken(&error))?;
        router.bind(&endpoint).await.map_err(|error| broken(&error))?;
        loop {
            let (peer, frames) = router.recv().await.map_err(|error| broken(&error))?;
            // Whoever does not wait for its answer does not get it.
            let _ = router.try_send(&peer, frames);
        }
    })
}
