//! Uploads to an S3 server, in good times and bad.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]
#![cfg(feature = "s3")]

mod proxy;
mod server;

use std::env;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oggflv::upload::{Client, Connection, ObjectOptions, PART_BYTES};
use proxy::{Fate, Proxy, is_part};
use server::{ACCESS_KEY, SECRET, Server};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv");

/// A command that knows a server from its environment, and nothing else of this machine's.
fn command(program: &Path, server: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("AWS_")))
        .env("AWS_ENDPOINT_URL", format!("http://{server}"))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn oggflv(server: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = command(Path::new(env!("CARGO_BIN_EXE_oggflv")), server);
    command.args(arguments);
    command
}

fn run(server: SocketAddr, arguments: &[&str]) -> Output {
    oggflv(server, arguments).output().unwrap()
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Asserts the exit code 1 and one line about it.
fn assert_fails(output: &Output, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(message) && stderr.lines().count() == 1, "{stderr}");
}

/// A file of bytes that look random.
struct Film {
    folder: tempfile::TempDir,
    content: Vec<u8>,
}

impl Film {
    fn new(bytes: usize) -> Self {
        let film = Self { folder: tempfile::tempdir().unwrap(), content: noise(bytes) };
        fs::write(film.path(), &film.content).unwrap();
        film
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("film.flv")
    }

    fn name(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Whether something is remembered of an unfinished upload.
    fn is_unfinished(&self) -> bool {
        self.folder.path().join("film.flv.oggflv-upload").exists()
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        content.extend_from_slice(&words.next().unwrap());
    }
    content.truncate(bytes);
    content
}

/// Waits until something is the case.
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Starts to upload a film in a process whose parts from the `count`th on get stuck, and waits for those before.
fn begin(server: &Server, film: &Film, place: &str, count: usize) -> Child {
    let proxy = Proxy::start(server.address, move |n, line| match is_part(line) && n >= count {
        true => Fate::Ignored,
        false => Fate::Arrives,
    });
    let child = oggflv(proxy.address, &["upload", &film.name(), place]).spawn().unwrap();
    wait_until("parts arrive", || server.parts_in_log().len() >= count);
    child
}

#[test]
fn a_killed_upload_goes_on_with_the_parts_that_are_missing() {
    let (server, film) = (Server::start(), Film::new(300_000_000));
    let mut child = begin(&server, &film, "s3://films/", 18);
    child.kill().unwrap();
    child.wait().unwrap();
    let first = server.parts_in_log();
    server.take_log();
    assert!(film.is_unfinished() && server.object("film.flv").is_none());
    assert_eq!(server.unfinished(), ["film.flv"]);

    let output = run(server.address, &["upload", "--resume", "--json", &film.name(), "s3://films/"]);
    assert_success(&output);
    let second = server.parts_in_log();
    let mut all = [first.clone(), second.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=36).collect::<Vec<_>>(), "{first:?} {second:?}");
    assert!(server.object("film.flv").unwrap() == film.content);
    assert!(!film.is_unfinished() && server.unfinished().is_empty() && !server.has_remains());
    let line = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["type"], "uploaded");
    assert_eq!((&report["bytes"], &report["verified"]), (&300_000_000.into(), &true.into()));
    let sent: usize = second
        .iter()
        .map(|&number| PART_BYTES.min(film.content.len() - (number as usize - 1) * PART_BYTES))
        .sum();
    assert_eq!(report["bytes_sent"], sent);
    server.take_log();

    // What is there and right is not sent again.
    assert_success(&run(server.address, &["upload", "--resume", &film.name(), "s3://films/"]));
    assert_eq!(server.take_log(), [""; 0]);
}

#[test]
fn an_interrupted_upload_can_be_resumed_without_its_memory() {
    let (server, film) = (Server::start(), Film::new(5 * PART_BYTES + 1));
    // Other uploads must not be taken for this one.
    for place in ["s3://films/film", "s3://films/film.flv.bak", "s3://films/film.flv0"] {
        let mut other = begin(&server, &film, place, 1);
        other.kill().unwrap();
        other.wait().unwrap();
        server.take_log();
    }
    let child = begin(&server, &film, "s3://films/film.flv", 3);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted; oggflv upload --resume goes on"));
    let first = server.parts_in_log();
    server.take_log();
    fs::remove_file(film.folder.path().join("film.flv.oggflv-upload")).unwrap();
    // By ETags, which are MD5.
    server.knows_no_checksums.store(true, Ordering::Relaxed);

    let output = run(server.address, &["upload", "--resume", &film.name(), "s3://films/film.flv"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning: the server tells no checksum"));
    let mut all = [first, server.parts_in_log()].concat();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    assert!(server.object("film.flv").unwrap() == film.content);
    assert_eq!(server.unfinished().len(), 3);
}

#[test]
fn parts_of_a_file_that_has_changed_are_sent_again() {
    let (server, mut film) = (Server::start(), Film::new(4 * PART_BYTES));
    let mut child = begin(&server, &film, "s3://films/", 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let arrived = server.parts_in_log();
    server.take_log();
    let changed = arrived[1];
    film.content[changed as usize * PART_BYTES - 1] ^= 1;
    fs::write(film.path(), &film.content).unwrap();
    assert_success(&run(server.address, &["upload", "--resume", &film.name(), "s3://films/"]));
    let expected: Vec<i32> = (1..=4).filter(|n| *n == changed || !arrived.contains(n)).collect();
    assert_eq!(server.parts_in_log(), expected);
    assert!(server.object("film.flv").unwrap() == film.content);
}

#[test]
fn unfinished_uploads_are_given_up() {
    let (server, film) = (Server::start(), Film::new(3 * PART_BYTES));
    for place in ["s3://films/film.flv", "s3://films/other.flv"] {
        let mut child = begin(&server, &film, place, 1);
        child.kill().unwrap();
        child.wait().unwrap();
        server.take_log();
    }
    assert_success(&run(server.address, &["upload", "--abort", &film.name(), "s3://films/"]));
    assert_eq!(server.unfinished(), ["other.flv"]);
    assert_success(&run(server.address, &["upload", "--abort", "s3://films/other.flv"]));
    assert!(server.unfinished().is_empty() && !server.has_remains() && server.object("film.flv").is_none());
    // An upload that is not resumed takes the place of the one before.
    for _ in 0..2 {
        let mut child = begin(&server, &film, "s3://films/film.flv", 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(server.unfinished(), ["film.flv"]);
        server.take_log();
    }
    assert_success(&run(server.address, &["upload", "--abort", &film.name(), "s3://films/"]));
    assert!(!film.is_unfinished());
}

#[test]
fn connections_that_break_and_servers_that_refuse_are_tried_again() {
    let (server, film) = (Server::start(), Film::new(12 * PART_BYTES + 12_345));
    let proxy = Proxy::start(server.address, |n, line| match (is_part(line), n % 7) {
        (true, 1) => Fate::Reset,
        (true, 3) => Fate::Refused(503),
        (true, 4) => Fate::Refused(500),
        (true, 6) => Fate::AnswerLost,
        // The answer to the completion, too.
        (false, 2) => Fate::AnswerLost,
        _ => Fate::Arrives,
    });
    assert_success(&run(proxy.address, &["upload", &film.name(), "s3://films/"]));
    assert!(server.object("film.flv").unwrap() == film.content);
    assert!(server.unfinished().is_empty() && !server.has_remains());
    assert!(server.take_log().iter().filter(|line| line.starts_with("Complete")).count() == 1);
}

#[test]
fn a_lost_answer_to_a_small_upload_is_no_object_of_somebody_else() {
    let (server, film) = (Server::start(), Film::new(1000));
    let proxy = Proxy::start(server.address, |n, line| match n == 1 && line.starts_with("PUT ") {
        true => Fate::AnswerLost,
        false => Fate::Arrives,
    });
    assert_success(&run(proxy.address, &["upload", &film.name(), "s3://films/"]));
    assert!(server.object("film.flv").unwrap() == film.content);
}

#[test]
fn a_wrong_bit_on_the_way_is_never_accepted() {
    let (server, film) = (Server::start(), Film::new(3 * PART_BYTES));
    let proxy = Proxy::start(server.address, |n, line| match is_part(line) && n == 1 {
        true => Fate::Corrupted,
        false => Fate::Arrives,
    });
    assert_success(&run(proxy.address, &["upload", &film.name(), "s3://films/once.flv"]));
    assert!(server.object("once.flv").unwrap() == film.content);

    let proxy = Proxy::start(server.address, |_, line| match is_part(line) {
        true => Fate::Corrupted,
        false => Fate::Arrives,
    });
    let output = run(proxy.address, &["upload", &film.name(), "s3://films/always.flv"]);
    assert_fails(&output, "what arrived is not what was sent");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--resume goes on"));
    assert!(server.object("always.flv").is_none());
    assert_success(&run(server.address, &["upload", "--resume", &film.name(), "s3://films/always.flv"]));
    assert!(server.object("always.flv").unwrap() == film.content);
}

#[test]
fn an_object_that_is_there_is_replaced_only_if_that_is_wanted() {
    let server = Server::start();
    for bytes in [1000, PART_BYTES + 1] {
        let film = Film::new(bytes);
        server.put("film.flv", b"mine");
        let output = run(server.address, &["upload", &film.name(), "s3://films/"]);
        assert_fails(&output, "s3://films/film.flv: exists already; --overwrite replaces it");
        assert_eq!(server.object("film.flv").unwrap(), b"mine");
        assert!(server.take_log().is_empty() && !film.is_unfinished());
        assert_success(&run(server.address, &["upload", "-y", &film.name(), "s3://films/"]));
        assert!(server.object("film.flv").unwrap() == film.content);
        server.take_log();
    }
}

#[test]
fn an_object_that_appears_meanwhile_survives() {
    let (server, film) = (Server::start(), Film::new(3 * PART_BYTES));
    let mut child = begin(&server, &film, "s3://films/", 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let proxy = Proxy::start(server.address, {
        let path = server.path("film.flv");
        move |_, line| {
            if line.starts_with("POST ") {
                fs::write(&path, "mine").unwrap();
            }
            Fate::Arrives
        }
    });
    let output = run(proxy.address, &["upload", "--resume", &film.name(), "s3://films/"]);
    assert_fails(&output, "exists already; --overwrite replaces it; oggflv upload --resume goes on");
    assert_eq!(server.object("film.flv").unwrap(), b"mine");
    server.take_log();
    // Nothing has to be sent again to replace it.
    assert_success(&run(server.address, &["upload", "--resume", "-y", &film.name(), "s3://films/"]));
    assert!(server.object("film.flv").unwrap() == film.content);
    assert_eq!(server.parts_in_log(), [0; 0]);
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let (server, film) = (Server::start(), Film::new(PART_BYTES + 1));
    let name = film.name();
    let upload = |variable: &str, value: &str, place: &str| {
        let mut command = oggflv(server.address, &["upload", &name, place]);
        command.env(variable, value).env("AWS_MAX_ATTEMPTS", "1").output().unwrap()
    };
    let place = "s3://films/film.flv";
    let output = upload("AWS_SECRET_ACCESS_KEY", "wrong", place);
    assert_fails(&output, "the secret (AWS_SECRET_ACCESS_KEY) is not that of the access key");
    let output = upload("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN", place);
    assert_fails(&output, "the server does not know this access key");
    let output = upload("X", "", "s3://none/film.flv");
    assert_fails(&output, "s3://none/film.flv: there is no bucket of this name; --create-bucket makes it");
    let output = upload("AWS_ENDPOINT_URL", "http://127.0.0.1:1", place);
    assert_fails(&output, "the server cannot be reached: ");
    let output = upload("AWS_CA_BUNDLE", "/nowhere", place);
    assert_fails(&output, "AWS_CA_BUNDLE /nowhere cannot be read");
    let mut command = oggflv(server.address, &["upload", &name, place]);
    let output = command.env_remove("AWS_ACCESS_KEY_ID").output().unwrap();
    assert_fails(&output, "no AWS credentials: set AWS_ACCESS_KEY_ID");
    let output = run(server.address, &["upload", "nowhere.flv", place]);
    assert_fails(&output, "nowhere.flv: cannot be read: ");
    assert!(server.take_log().is_empty() && !film.is_unfinished());
    // A conversion says it before it begins.
    let mut command = oggflv(server.address, &[SAMPLE, place]);
    let output = command.env("AWS_SECRET_ACCESS_KEY", "wrong").output().unwrap();
    assert_fails(&output, "s3://films/film.flv: the secret");
}

#[test]
fn a_profile_and_options_say_what_the_environment_does_not() {
    let (server, film) = (Server::start(), Film::new(PART_BYTES + 1));
    let credentials = film.folder.path().join("credentials");
    let text = format!("[studio]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET}\n");
    fs::write(&credentials, text).unwrap();
    // A name with dots never becomes part of the host's name.
    let place = "s3://streams.example.com/a/";
    let url = format!("http://localhost:{}", server.address.port());
    let mut command = oggflv(server.address, &["upload", "--create-bucket", &film.name(), place]);
    command.args(["--profile", "studio", "--endpoint-url", &url, "--region", "us-east-1"]);
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"] {
        command.env_remove(variable);
    }
    assert_success(&command.env("AWS_SHARED_CREDENTIALS_FILE", credentials).output().unwrap());
    assert!(server.path("../streams.example.com/a/film.flv").exists());
}

#[test]
fn options_reach_the_server() {
    let (server, film) = (Server::start(), Film::new(PART_BYTES + 1));
    let options = [
        ["--cache-control", "max-age=60"],
        ["--storage-class", "STANDARD_IA"],
        ["--acl", "public-read"],
        ["--sse", "aws:kms"],
        ["--sse-kms-key-id", "key"],
        ["--object-metadata", "title=Holidays"],
    ];
    let name = film.name();
    let arguments = [&["upload", &name, "s3://films/"][..], options.as_flattened()].concat();
    assert_success(&run(server.address, &arguments));
    let expected = "CreateMultipartUpload film.flv video/x-flv max-age=60 STANDARD_IA public-read aws:kms key {\"title\": \"Holidays\"}";
    assert_eq!(server.take_log()[0], expected);
    assert_success(&run(server.address, &["upload", "-y", &film.name(), "s3://films/"]));
    assert_eq!(server.take_log()[0], "CreateMultipartUpload film.flv video/x-flv - - - - - {}");
}

#[test]
fn a_folder_goes_below_a_prefix() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("ruffle")).unwrap();
    for name in ["index.html", "player.swf", "ruffle/ruffle.js", "ruffle/core.wasm"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let arguments = ["upload", folder.path().to_str().unwrap(), "s3://films/page/"];
    let plan = run(server.address, &[&arguments[..], &["--dry-run"]].concat());
    assert_success(&plan);
    assert_eq!(String::from_utf8_lossy(&plan.stdout).lines().count(), 4);
    assert!(server.take_log().is_empty());
    assert_success(&run(server.address, &arguments));
    let mut log = server.take_log();
    log.sort();
    let expected = [
        "PutObject page/index.html text/html; charset=utf-8",
        "PutObject page/player.swf application/x-shockwave-flash",
        "PutObject page/ruffle/core.wasm application/wasm",
        "PutObject page/ruffle/ruffle.js text/javascript; charset=utf-8",
    ];
    assert_eq!(log, expected);
    assert_eq!(server.object("page/ruffle/core.wasm").unwrap(), b"ruffle/core.wasm");
    // Rules are added to those that are there, once.
    for origin in ["https://a.example", "https://b.example", "https://a.example"] {
        assert_success(&run(server.address, &[&arguments[..], &["-y", "--cors", origin]].concat()));
    }
    assert_eq!(server.origins(), ["https://a.example", "https://b.example"]);
    assert_eq!(server.take_log().iter().filter(|line| *line == "PutBucketCors").count(), 2);
}

#[test]
fn an_object_is_the_file_that_the_same_options_make() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let local = folder.path().join("local.flv");
    let options = ["--size", "160x120"];
    let upload = [SAMPLE, local.to_str().unwrap(), "--upload", "s3://films/copies/"];
    assert_success(&run(server.address, &[&upload[..], &options].concat()));
    assert_success(&run(server.address, &[&[SAMPLE, "s3://films/film.flv"][..], &options].concat()));
    let local = fs::read(local).unwrap();
    assert!(
        server.object("film.flv").unwrap() == local && server.object("copies/local.flv").unwrap() == local
    );
    assert!(server.unfinished().is_empty());
    // Into a prefix, and what is there is passed over, or an error.
    let into_prefix = ["--out-dir", "s3://films/all/", SAMPLE];
    assert_success(&run(server.address, &[&into_prefix[..], &options].concat()));
    assert!(server.object("all/flash-click.flv").unwrap() == local);
    assert_success(&run(server.address, &[&into_prefix[..], &["--skip-existing"]].concat()));
    let output = run(server.address, &[SAMPLE, "s3://films/all/"]);
    assert_fails(&output, "s3://films/all/flash-click.flv: exists already");
    assert!(server.unfinished().is_empty() && !server.has_remains());
}

#[test]
fn an_interrupted_conversion_leaves_nothing() {
    let server = Server::start();
    let mut child =
        oggflv(server.address, &["-", "s3://films/film.flv"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&fs::read(SAMPLE).unwrap()).unwrap();
    wait_until("the upload begins", || server.unfinished() == ["film.flv"]);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(server.take_log().last().unwrap(), "AbortMultipartUpload");
    assert!(server.unfinished().is_empty() && !server.has_remains() && server.object("film.flv").is_none());
    // And one whose input is none, too.
    let output = run(server.address, &["/dev/null", "s3://films/film.flv"]);
    assert_fails(&output, "/dev/null: not an Ogg file");
    assert!(server.unfinished().is_empty() && !server.has_remains());
}

/// Bytes that [`write_an_object`] writes.
const STREAM_BYTES: usize = 200_000_000;

/// Writes an object in pieces and prints how much memory this process has taken at most, in KiB.
#[test]
#[ignore = "other tests run it in a process of its own"]
fn write_an_object() {
    let Ok(url) = env::var("AWS_ENDPOINT_URL") else { return };
    let connection = Connection { endpoint_url: Some(url), ..Connection::default() };
    let client = Client::connect(&connection, Arc::<AtomicBool>::default()).unwrap();
    let place = "s3://films/stream.flv".parse().unwrap();
    let mut object = client.write_object(&place, &ObjectOptions::default()).unwrap();
    let piece = noise(50_021);
    let mut left = STREAM_BYTES;
    while left > 0 {
        let count = left.min(piece.len());
        object.write_all(&piece[..count]).unwrap();
        left -= count;
    }
    let uploaded = object.complete(b"the head").unwrap();
    assert_eq!((uploaded.bytes, uploaded.verified), (8 + STREAM_BYTES as u64, true));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak {}", peak.trim().trim_end_matches(" kB"));
}

#[test]
fn a_stream_waits_for_a_slow_server_and_gets_its_head_last() {
    let server = Server::start();
    let proxy = Proxy::start(server.address, |_, line| match is_part(line) {
        true => Fate::Slow(6_000_000),
        false => Fate::Arrives,
    });
    let mut child = command(&env::current_exe().unwrap(), proxy.address);
    let output = child.args(["write_an_object", "--exact", "--ignored", "--nocapture"]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let object = server.object("stream.flv").unwrap();
    let piece = noise(50_021);
    let expected = b"the head".iter().chain(piece.iter().cycle().take(STREAM_BYTES));
    assert!(object.len() == 8 + STREAM_BYTES && object.iter().eq(expected));
    let peak = stdout.split_once("peak ").unwrap().1.lines().next().unwrap();
    let peak: u64 = peak.parse().unwrap();
    println!("{peak} KiB at most");
    // Six parts of 8 MiB, and the program itself. All that was written has four times as much.
    assert!(peak < 90 << 10, "{peak} KiB");
}
