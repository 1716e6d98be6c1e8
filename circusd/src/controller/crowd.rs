//! What clients leave behind when they go: memory, and by the thousand a lot of it.

use circus_common::transport::Traffic;

use crate::os::memory;

/// After so many changes among the clients there is something to give back: some fifty have come and gone.
const CROWD: u64 = 128;

/// Has the memory of clients that are gone given back, of ones that never said a word, too. Ends with the socket.
pub(crate) async fn tidy_after(mut traffic: Traffic) {
    let mut seen = 0;
    while let Some(changes) = traffic.next().await {
        seen += changes;
        if seen >= CROWD {
            seen = 0;
            memory::tidy_later();
        }
    }
}
