//! Real sockets: each option, what may be at an address, and changes that lose nothing.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::Path,
};

use rustix::net::sockopt;
use serde_json::{Map, Value, json};

use super::*;
use crate::arbiter::{id::ProcessId, socket::Address};

fn config(name: &str, options: &Value) -> SocketConfig {
    let options = options.as_object().cloned().unwrap_or_default();
    SocketConfig::from_options(name, &options).expect("a good section")
}

fn tcp(name: &str, more: Value) -> SocketConfig {
    let mut options =
        Map::from_iter([("host".to_owned(), json!("127.0.0.1")), ("port".to_owned(), json!(0))]);
    options.extend(more.as_object().cloned().unwrap_or_default());
    config(name, &Value::Object(options))
}

fn unix(path: &Path, more: Value) -> SocketConfig {
    let mut options = Map::from_iter([("path".to_owned(), json!(path))]);
    options.extend(more.as_object().cloned().unwrap_or_default());
    config("ux", &Value::Object(options))
}

fn opened(config: &SocketConfig) -> Managed {
    open::open(config, &[]).expect("opened")
}

fn refusal(config: &SocketConfig) -> String {
    match open::open(config, &[]) {
        Ok(socket) => panic!("opened: {socket:?}"),
        Err(error) => error.in_full(),
    }
}

fn port(socket: &Managed, config: &SocketConfig) -> u16 {
    match socket.facts(config).address {
        Address::Inet { port, .. } => port,
        Address::Unix { path } => panic!("a path: {path}"),
    }
}

fn flags(socket: &Managed) -> rustix::fs::OFlags {
    rustix::fs::fcntl_getfl(socket).expect("open")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_tcp_socket_listens_at_the_port_the_kernel_chose_from_descriptor_64_up() {
    let config = tcp("web", json!({"backlog": 3}));
    let socket = opened(&config);
    let facts = socket.facts(&config);
    assert!(facts.fd >= 64 && port(&socket, &config) > 0);
    TcpStream::connect((Ipv4Addr::LOCALHOST, port(&socket, &config))).expect("somebody listens");
    assert!(sockopt::socket_reuseaddr(&socket).expect("asked"));
    assert!(flags(&socket).contains(rustix::fs::OFlags::NONBLOCK));
    let cloexec = rustix::io::fcntl_getfd(&socket).expect("asked");
    assert!(cloexec.contains(rustix::io::FdFlags::CLOEXEC));
    let blocking = opened(&tcp("web", json!({"blocking": true})));
    assert!(!flags(&blocking).contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn a_name_is_looked_up_and_reported_as_an_address() {
    let config = tcp("web", json!({"host": "localhost"}));
    let facts = opened(&config).facts(&config);
    assert!(matches!(&facts.address, Address::Inet { host, .. } if host == "127.0.0.1"), "{facts:?}");
}

#[test]
fn an_ipv6_socket_reports_host_and_port_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("SKIPPED an_ipv6_socket_reports_host_and_port_too: needs IPv6");
        return;
    }
    let config = tcp("web", json!({"host": "::1", "family": "AF_INET6"}));
    let facts = opened(&config).facts(&config);
    assert!(matches!(&facts.address, Address::Inet { host, port } if host == "::1" && *port > 0));
    assert!(refusal(&tcp("web", json!({"host": "::1"}))).contains("has no address of IPv4"));
}

#[test]
fn datagrams_and_protocols_are_to_be_had() {
    let config = tcp("log", json!({"type": "SOCK_DGRAM", "proto": "udp"}));
    let socket = opened(&config);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.send_to(b"x", (Ipv4Addr::LOCALHOST, port(&socket, &config))).expect("sent");
    let mut buffer = [0; 8];
    let (read, _) =
        rustix::net::recv(&socket, &mut buffer, rustix::net::RecvFlags::empty()).expect("received");
    assert_eq!(read, 1);
    assert_eq!(refusal(&tcp("log", json!({"proto": "nope"}))), "there is no protocol `nope`");
}

#[test]
fn an_interface_that_does_not_exist_is_an_error() {
    let text = refusal(&tcp("web", json!({"interface": "no-such-if"})));
    assert!(text.starts_with("cannot bind to the interface: "), "{text}");
}

#[test]
fn a_port_that_somebody_has_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = other.local_addr().expect("bound").port();
    let text = refusal(&tcp("web", json!({"port": port})));
    assert!(text.starts_with(&format!("Could not bind 127.0.0.1:{port}: Address already in use")), "{text}");
    assert!(refusal(&tcp("web", json!({"host": "no.such.host.invalid"}))).starts_with("cannot look up"));
}

#[test]
fn a_unix_socket_has_the_mode_its_mask_leaves_and_goes_with_its_value() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ux");
    for (mask, expected) in [("000", 0o777), ("022", 0o755), ("077", 0o700)] {
        let socket = opened(&unix(&path, json!({"umask": mask})));
        assert_eq!(mode(&path), expected, "{mask}");
        UnixStream::connect(&path).expect("somebody listens");
        drop(socket);
        assert!(!path.exists());
    }
    let other_types = [("SOCK_SEQPACKET", false), ("SOCK_DGRAM", true)];
    for (name, datagram) in other_types {
        let _socket = opened(&unix(&path, json!({"type": name})));
        let client = UnixDatagram::unbound().expect("made");
        assert_eq!(client.connect(&path).is_ok(), datagram, "{name}");
    }
}

#[test]
fn only_a_deserted_socket_makes_room_unless_replace_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ux");
    let living = UnixListener::bind(&path).expect("bound");
    let text = format!(
        "'{}' already exists. You might want to remove it. If it's a stalled socket file, just restart Circus",
        path.display()
    );
    assert_eq!(refusal(&unix(&path, json!({}))), text);
    drop(living);
    // Its owner was killed: nobody answers any more.
    drop(opened(&unix(&path, json!({}))));
    fs::write(&path, "precious").expect("written");
    assert_eq!(refusal(&unix(&path, json!({}))), text);
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    let socket = opened(&unix(&path, json!({"replace": true})));
    assert!(fs::symlink_metadata(&path).expect("there").file_type().is_socket());
    // What another puts in its place is not ours to remove.
    fs::remove_file(&path).expect("removed");
    let _other = UnixListener::bind(&path).expect("bound");
    drop(socket);
    assert!(path.exists());
}

fn slot(wid: u32) -> ProcessId {
    ProcessId { generation: 1, watcher: WatcherId(7), wid }
}

#[test]
fn with_so_reuseport_each_slot_has_one_that_its_next_process_gets_again() {
    let free = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let config = tcp("web", json!({"so_reuseport": true, "port": port}));
    let socket = Arc::new(opened(&config));
    assert!(socket.is_per_slot());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it is not bound itself");
    let number = |wid| socket.of_slot(&config, slot(wid)).expect("opened").as_raw_fd();
    let (one, two) = (number(1), number(2));
    assert!(one != two && one != socket.number());
    assert_eq!((number(1), number(2)), (one, two));
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a slot listens");
    socket.close_slots(7, |wid| wid == 2);
    assert_eq!(number(2), two);
    socket.close_slots(8, |_| false);
    assert_eq!(number(2), two, "another watcher's slots are none of its business");
    socket.close_all_slots();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

fn entry(config: SocketConfig) -> Entry {
    let socket = Arc::new(opened(&config));
    Entry { config: Arc::new(config), socket }
}

#[test]
fn a_socket_is_replaced_at_its_own_port_while_others_listen_there() {
    let plain = tcp("web", json!({}));
    let old = entry(plain.clone());
    let port = port(&old.socket, &plain);
    // A worker holds the old one open as well.
    let worker = rustix::io::fcntl_dupfd_cloexec(&*old.socket, 3).expect("duplicated");
    let open = Open::from([("web".to_owned(), old)]);
    for more in [
        json!({"port": port, "blocking": true}),
        json!({"port": port, "host": "0.0.0.0"}),
        json!({"port": port, "so_reuseport": true}),
    ] {
        let plan = SocketPlan { open: vec![tcp("web", more.clone())], ..SocketPlan::default() };
        let prepared = prepare(&open, plan).unwrap_or_else(|error| panic!("{more}: {error}"));
        let new = &prepared.opened[0];
        if new.socket.is_per_slot() {
            new.socket.of_slot(&new.config, slot(1)).expect("a slot's own beside the old one");
        }
    }
    let foreign = tcp("other", json!({"port": port}));
    let plan = SocketPlan { open: vec![foreign], ..SocketPlan::default() };
    assert!(prepare(&open, plan).is_err(), "one that stays is an obstacle");
    drop(worker);
}

#[test]
fn two_sockets_can_change_places() {
    let (one, two) = (tcp("one", json!({})), tcp("two", json!({})));
    let (first, second) = (entry(one.clone()), entry(two.clone()));
    let (at_one, at_two) = (port(&first.socket, &one), port(&second.socket, &two));
    let open = Open::from([("one".to_owned(), first), ("two".to_owned(), second)]);
    let plan = SocketPlan {
        open: vec![tcp("one", json!({"port": at_two})), tcp("two", json!({"port": at_one}))],
        ..SocketPlan::default()
    };
    assert_eq!(prepare(&open, plan).expect("prepared").opened.len(), 2);
}

#[test]
fn nothing_is_left_of_a_plan_that_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ux");
    let kept = tcp("kept", json!({}));
    let old = entry(kept.clone());
    let at = port(&old.socket, &kept);
    let open = Open::from([("kept".to_owned(), old)]);
    let plan = SocketPlan {
        open: vec![unix(&path, json!({})), tcp("web", json!({"host": "192.0.2.1", "port": 1}))],
        adjust: Vec::new(),
        close: vec!["kept".to_owned()],
    };
    let error = prepare(&open, plan).expect_err("192.0.2.1 is no address of this machine");
    assert!(error.starts_with("[socket:web]: Could not bind 192.0.2.1:1: "), "{error}");
    assert!(!path.exists());
    TcpStream::connect((Ipv4Addr::LOCALHOST, at)).expect("what was to be closed still listens");
}

fn with_sockets(configs: Vec<SocketConfig>, story: impl AsyncFnOnce(Sockets)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let sockets = Sockets::start(configs, Kept::default()).await.expect("opened");
        story(sockets).await;
    });
}

#[test]
fn a_socket_whose_section_stays_keeps_its_number_over_a_restart() {
    with_sockets(vec![tcp("a", json!({})), tcp("b", json!({}))], async |sockets| {
        let facts = sockets.facts();
        let kept = sockets.into_kept();
        let configs = vec![facts[0].config.clone(), tcp("c", json!({}))];
        let again = Sockets::start(configs, kept).await.expect("opened");
        assert_eq!(again.facts()[0], facts[0]);
    });
}

#[test]
fn a_connection_is_told_once_and_one_that_waits_at_once() {
    let web = tcp("web", json!({}));
    with_sockets(vec![web.clone()], async |mut sockets| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(&sockets.open["web"].socket, &web)));
        let awaited = BTreeSet::from(["web".to_owned()]);
        sockets.carry_out(SocketEffect::Await(awaited.clone()));
        let first = TcpStream::connect(address).expect("connected");
        let told = sockets.next().await;
        assert!(matches!(told, Input::Connection { waiting: false, .. }), "{told:?}");
        let _second = TcpStream::connect(address).expect("connected");
        assert!(sockets.told.is_empty() && !sockets.waits.has("web"), "it is told once");
        sockets.carry_out(SocketEffect::Await(awaited));
        let told = sockets.next().await;
        assert!(matches!(told, Input::Connection { waiting: true, .. }), "{told:?}");
        sockets.carry_out(SocketEffect::Count { watcher: WatcherId(1), sockets: vec!["web".to_owned()] });
        let told = sockets.next().await;
        assert!(matches!(told, Input::ConnectionsCounted { connections: 2, .. }), "{told:?}");
        drop(first);
    });
}

#[test]
fn a_unix_socket_of_another_type_takes_its_path_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ux");
    with_sockets(vec![unix(&path, json!({}))], async |mut sockets| {
        let plan = SocketPlan {
            open: vec![unix(&path, json!({"type": "SOCK_SEQPACKET"}))],
            ..SocketPlan::default()
        };
        sockets.carry_out(SocketEffect::Prepare(plan));
        assert!(matches!(sockets.next().await, Input::SocketsPrepared(Ok(_))));
        UnixStream::connect(&path).expect("the old one listens until then");
        sockets.carry_out(SocketEffect::Commit);
        let gone = || UnixStream::connect(&path).is_err();
        while !gone() {
            tokio::task::yield_now().await;
        }
        assert!(path.exists());
        drop(sockets);
    });
    let left = || fs::read_dir(dir.path()).expect("a directory").count();
    assert_eq!(left(), 0, "no file is left");
}

#[test]
fn the_backlog_and_the_mode_are_adjusted_in_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ux");
    let before = unix(&path, json!({"umask": "077"}));
    let socket = opened(&before);
    socket.adjust(&unix(&path, json!({"umask": "007", "backlog": 1}))).expect("adjusted");
    assert_eq!(mode(&path), 0o770);
    let mut client = UnixStream::connect(&path).expect("it listens on");
    let mut server = UnixStream::from(rustix::net::accept(&socket).expect("accepted"));
    client.write_all(b"x").expect("written");
    let mut byte = [0];
    server.read_exact(&mut byte).expect("read");
}
