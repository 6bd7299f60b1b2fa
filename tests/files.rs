//! Where input and output lie: each failure takes one line and leaves nothing half-made.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv");

fn oggflv(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oggflv"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

fn fails(output: &Output, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

#[test]
fn a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = oggflv(folder.path(), &[SAMPLE, "missing/out.flv"]).output().unwrap();
    fails(&output, "oggflv: missing/out.flv: cannot be written: No such file or directory");
}

#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = oggflv(folder.path(), &[SAMPLE, "-"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    fails(&output, "oggflv: -: cannot be written: No space left on device");
}

#[test]
fn a_closed_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        oggflv(folder.path(), &[SAMPLE, "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    fails(&child.wait_with_output().unwrap(), "oggflv: -: cannot be written: Broken pipe");
}

#[test]
fn the_input_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(SAMPLE, folder.path().join("in.ogv")).unwrap();
    std::os::unix::fs::symlink("in.ogv", folder.path().join("link.flv")).unwrap();
    let output = oggflv(folder.path(), &["in.ogv", "link.flv", "--overwrite"]).output().unwrap();
    fails(&output, "oggflv: link.flv: is the input itself");
    assert_eq!(fs::read(folder.path().join("in.ogv")).unwrap(), fs::read(SAMPLE).unwrap());
}

#[test]
fn an_input_that_is_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let output = oggflv(folder.path(), &["/dev/null", "out.flv"]).output().unwrap();
    fails(&output, "oggflv: /dev/null: not an Ogg file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn damage_is_an_error_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sample = fs::read(SAMPLE).unwrap();
    fs::write(folder.path().join("cut.ogv"), &sample[..sample.len() - 3000]).unwrap();
    let output = oggflv(folder.path(), &["cut.ogv", "out.flv", "--strict"]).output().unwrap();
    fails(&output, "oggflv: cut.ogv: the file is");
    assert!(!folder.path().join("out.flv").exists());
    let output = oggflv(folder.path(), &["cut.ogv", "out.flv"]).output().unwrap();
    assert!(output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("oggflv: cut.ogv: warning: the file is cut off at 0:0"), "{stderr}");
}
