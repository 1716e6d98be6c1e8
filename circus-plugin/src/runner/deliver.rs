//! Handing over a message: to a web server, to a program, by mail.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use circus_common::ErrorChain;
use lettre::{
    SmtpTransport, Transport,
    message::Mailbox,
    transport::smtp::{
        authentication::Credentials,
        client::{CertificateStore, Tls, TlsParameters},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::outside::{AUTHORITIES, agent};
use crate::{
    machine::{Input, Mail, Message, Way},
    stdin,
};

/// Messages that may wait for one way.
const QUEUE: usize = 64;

/// A message that waits, and how long its delivery may take.
type Waiting = (Way, Box<Message>, Duration);

/// The ways out. Each takes one message after the other, so that none overtakes another; none waits for another way.
#[derive(Debug)]
pub(super) struct Ways {
    queues: BTreeMap<&'static str, mpsc::Sender<Waiting>>,
    answers: mpsc::Sender<Input>,
}

impl Ways {
    pub const fn new(answers: mpsc::Sender<Input>) -> Self {
        Self { queues: BTreeMap::new(), answers }
    }

    pub fn hand_over(
        &mut self,
        way: Way,
        message: Box<Message>,
        timeout: Duration,
    ) -> Result<(), &'static str> {
        let Self { queues, answers } = self;
        let queue = queues.entry(name(&way)).or_insert_with(|| open(answers.clone()));
        queue.try_send((way, message, timeout)).map_err(|_| "too many messages wait: one is not sent")
    }
}

fn open(answers: mpsc::Sender<Input>) -> mpsc::Sender<Waiting> {
    let (queue, mut waiting) = mpsc::channel::<Waiting>(QUEUE);
    tokio::spawn(async move {
        while let Some((way, message, timeout)) = waiting.recv().await {
            let delivered = spawn_blocking(move || deliver(&way, &message, timeout)).await;
            // Nobody is there to hear of it, or of the next ones.
            let Ok(delivered) = delivered else { return };
            if answers.send(delivered).await.is_err() {
                return;
            }
        }
    });
    queue
}

const fn name(way: &Way) -> &'static str {
    match way {
        Way::Webhook { .. } => "webhook",
        Way::Command { .. } => "command",
        Way::Mail(_) => "mail",
    }
}

/// Hands over a message; never longer than that.
fn deliver(way: &Way, message: &Message, timeout: Duration) -> Input {
    let result = match way {
        Way::Webhook { url } => webhook(url, message, timeout),
        Way::Command { words } => command(words, message, timeout),
        Way::Mail(mail) => send_mail(mail, message, timeout),
    };
    Input::Delivered { way: name(way), result }
}

fn json(message: &Message) -> String {
    Value::Object(message.members.clone()).to_string()
}

fn webhook(url: &str, message: &Message, timeout: Duration) -> Result<(), String> {
    let sent = agent(timeout)
        .build()
        .new_agent()
        .post(url)
        .header("Content-Type", "application/json")
        .send(json(message));
    let status = sent.map_err(|error| error.to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("status {status}")) }
}

/// Runs the program, with the message on its standard input, which ends after it.
fn command(words: &[String], message: &Message, timeout: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no program is named".to_owned());
    };
    let text = |error: std::io::Error| format!("`{program}`: {error}");
    let mut command = Command::new(program);
    let input = stdin::holding(&[json(message).as_bytes(), b"\n"]).map_err(text)?;
    command.args(arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("CIRCUS_WATCHER", plain(&message.watcher));
    command.env("CIRCUS_EVENT", plain(&message.event));
    command.env("CIRCUS_SUBJECT", plain(&message.subject));
    // A group of its own, so that all of it can be ended.
    command.process_group(0);
    #[expect(
        clippy::disallowed_methods,
        reason = "a plugin has no children but these, and reaps each itself"
    )]
    let mut child = command.spawn().map_err(text)?;
    let in_time = ends_within(&child, timeout);
    if !in_time && let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        // Not reaped yet, so the group is ours.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a plugin has no children but these, and reaps each itself"
    )]
    let status = child.wait().map_err(text)?;
    match status.success() {
        _ if !in_time => Err(format!("`{program}` did not end within {} s", timeout.as_secs_f64())),
        true => Ok(()),
        false => Err(format!("`{program}` ended with {status}")),
    }
}

fn plain(text: &str) -> String {
    text.replace('\0', "")
}

fn ends_within(child: &Child, timeout: Duration) -> bool {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return true };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let limit = Timespec::try_from(timeout).ok();
    let mut waited = [PollFd::new(&pidfd, PollFlags::IN)];
    !matches!(poll(&mut waited, limit.as_ref()), Ok(0))
}

fn send_mail(mail: &Mail, message: &Message, timeout: Duration) -> Result<(), String> {
    let mut email = lettre::Message::builder().from(address(&mail.from)?).subject(&message.subject);
    for receiver in &mail.to {
        email = email.to(address(receiver)?);
    }
    let email = email.body(message.text.clone()).map_err(|error| error.to_string())?;
    let sent = transport(mail, timeout)?.send(&email);
    sent.map(drop).map_err(|error| ErrorChain(&error).to_string())
}

fn address(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|error| format!("`{text}` is no mail address: {error}"))
}

fn transport(mail: &Mail, timeout: Duration) -> Result<SmtpTransport, String> {
    let wrong = || format!("`{}` is no mail server: write smtp://HOST:PORT", mail.server);
    let (scheme, address) = mail.server.split_once("://").ok_or_else(wrong)?;
    let (host, port) = match address.trim_end_matches('/').rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        None => (address.trim_end_matches('/'), None),
    };
    let checked = || checked(host).map_err(|error| error.to_string());
    let (tls, usual) = match scheme {
        // A password never leaves without TLS.
        "smtp" if mail.user.is_none() => (opportunistic(host)?, 25),
        "smtp" | "smtp+starttls" => (Tls::Required(checked()?), 587),
        "smtps" => (Tls::Wrapper(checked()?), 465),
        _ => return Err(wrong()),
    };
    let mut builder =
        SmtpTransport::builder_dangerous(host).port(port.unwrap_or(usual)).tls(tls).timeout(Some(timeout));
    if let Some(user) = &mail.user {
        builder = builder.credentials(Credentials::new(user.clone(), password(mail)?));
    }
    Ok(builder.build())
}

/// TLS with somebody whom this machine trusts, or Mozilla where the machine has no list of its own.
fn checked(host: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let trusted =
        if AUTHORITIES.is_empty() { CertificateStore::WebpkiRoots } else { CertificateStore::Default };
    TlsParameters::builder(host.to_owned()).certificate_store(trusted).build()
}

/// TLS if the server offers it. Whoever could forge the certificate could as well hide the offer.
fn opportunistic(host: &str) -> Result<Tls, String> {
    let parameters = TlsParameters::builder(host.to_owned()).dangerous_accept_invalid_certs(true).build();
    parameters.map(Tls::Opportunistic).map_err(|error| error.to_string())
}

fn password(mail: &Mail) -> Result<String, String> {
    let Some(file) = &mail.password_file else { return Ok(String::new()) };
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
