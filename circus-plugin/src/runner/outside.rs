//! Questions to the world: web servers, redis, this machine. They block, so each has its thread.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, LazyLock},
    time::Duration,
};

use circus_common::tunnel::{Tunnel, TunnelError};
use rustls_native_certs::load_native_certs;
use tokio::time::Instant;
use ureq::{
    config::ConfigBuilder,
    tls::{Certificate, RootCerts, TlsConfig},
    typestate::AgentScope,
};

use crate::{cli::Job, machine::FetchError};

/// No more of an answer is read.
const BODY: u64 = 64 << 20;
/// The status that stands for no answer at all, as Tornado has it.
const NO_ANSWER: u16 = 599;

/// Who we are in requests.
pub(super) const AGENT: &str = concat!("circus-plugin/", env!("CARGO_PKG_VERSION"));

/// The certificate authorities that this machine trusts, its own ones among them; none where none are installed.
pub(super) static AUTHORITIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| load_native_certs().certs.iter().map(|certificate| certificate.to_vec()).collect());

/// The beginning of an HTTP client.
pub(super) fn agent(timeout: Duration) -> ConfigBuilder<AgentScope> {
    let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
    config.user_agent(AGENT).tls_config(TlsConfig::builder().root_certs(trusted()).build())
}

/// Mozilla's authorities stand in where the machine has none.
fn trusted() -> RootCerts {
    let known = AUTHORITIES.iter().map(|der| Certificate::from_der(der));
    let known: Vec<Certificate<'static>> = known.map(|certificate| certificate.to_owned()).collect();
    if known.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(known)) }
}

/// Asks a web server and reads the whole answer.
pub(super) fn fetch(url: &str, timeout: Duration) -> Result<Duration, FetchError> {
    let began = Instant::now();
    let none = |error: ureq::Error| FetchError { code: NO_ANSWER, reason: error.to_string() };
    // Whether the server itself answers is the question, as in Circus: never by way of a proxy.
    let agent = agent(timeout).proxy(None).build().new_agent();
    let mut response = agent.get(url).call().map_err(none)?;
    let status = response.status();
    if status.as_u16() >= 400 {
        return Err(FetchError { code: status.as_u16(), reason: format!("status {status}") });
    }
    response.body_mut().with_config().limit(BODY).read_to_vec().map_err(none)?;
    Ok(began.elapsed())
}

/// Asks a redis server about itself.
pub(super) fn redis_info(url: &str, timeout: Duration) -> Result<BTreeMap<String, String>, String> {
    let asked = || -> Result<String, redis::RedisError> {
        let mut connection = redis::Client::open(url)?.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        redis::cmd("INFO").query(&mut connection)
    };
    // What redis says of an error never repeats the address.
    let text = asked().map_err(|error| error.to_string())?;
    let pair =
        |line: &str| line.trim().split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(pair).collect())
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Where commands go and events come from: with `--ssh` a tunnel for each.
///
/// A tunnel lives as long as the connection through it. When that is lost the plugin ends, and circusd, or whoever
/// runs it, starts it anew.
pub(super) fn ways(job: &Job) -> Result<(String, String), String> {
    let Some(server) = &job.ssh else { return Ok((job.endpoint.clone(), job.pubsub.clone())) };
    let open = |endpoint: &str| -> Result<String, TunnelError> { Tunnel::to(endpoint, server, None)?.open() };
    let text = |error: TunnelError| error.to_string();
    Ok((open(&job.endpoint).map_err(text)?, open(&job.pubsub).map_err(text)?))
}
