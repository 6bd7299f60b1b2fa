//! The command: exit codes, messages, files.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::flv_file::FlvFile;
use oggflv::flv::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv");

fn oggflv(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oggflv"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

/// Asserts an exit code and that nothing but one line about it is printed.
fn assert_fails(output: &Output, code: i32, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.contains(message), "{stderr}");
    assert!(code == 2 || stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_file_is_converted_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let output = oggflv(folder.path(), &[SAMPLE, "out.flv", "--size", "160x120"]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(names(folder.path()), ["out.flv"]);
}

#[test]
fn the_output_is_named_after_the_input() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(SAMPLE, folder.path().join("film.ogv")).unwrap();
    assert!(oggflv(folder.path(), &["film.ogv"]).status.success());
    assert!(folder.path().join("film.flv").exists());
}

#[test]
fn pipes_threads_and_vector_instructions_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    assert!(oggflv(folder.path(), &[SAMPLE, "file.flv", "--size", "200x150"]).status.success());
    let expected = fs::read(folder.path().join("file.flv")).unwrap();
    for (threads, level) in [("1", "scalar"), ("3", "sse2"), ("2", "avx2"), ("2", "neon")] {
        let mut piped =
            command(folder.path(), &["-", "pipe.flv", "-y", "--size", "200x150", "--threads", threads]);
        piped.env("OGGFLV_SIMD", level);
        piped.stdin(fs::File::open(SAMPLE).unwrap());
        assert!(piped.status().unwrap().success());
        assert!(fs::read(folder.path().join("pipe.flv")).unwrap() == expected, "{threads} threads, {level}");
    }
}

/// What comes after the metadata.
fn body(flv: &[u8]) -> &[u8] {
    assert_eq!((&flv[..4], flv[13]), (&b"FLV\x01"[..], 18));
    let metadata = u32::from_be_bytes([0, flv[14], flv[15], flv[16]]) as usize;
    &flv[13 + 11 + metadata + 4..]
}

#[test]
fn standard_output_gets_the_same_tags() {
    let folder = tempfile::tempdir().unwrap();
    let file = oggflv(folder.path(), &[SAMPLE, "file.flv", "--size", "200x150"]);
    assert!(file.status.success());
    let stream = oggflv(folder.path(), &[SAMPLE, "-", "--size", "200x150"]);
    assert!(stream.status.success() && stream.stderr.is_empty(), "{stream:?}");
    let file = fs::read(folder.path().join("file.flv")).unwrap();
    assert!(body(&stream.stdout) == body(&file));
    let mentions = |name: &str| stream.stdout.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(mentions("audiosamplerate") && !mentions("duration") && !mentions("filesize"));
    assert_eq!(names(folder.path()), ["file.flv"]);
}

#[test]
fn standard_output_begins_before_the_input_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        command(folder.path(), &["-", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let sample = fs::read(SAMPLE).unwrap();
    for _ in 0..5 {
        input.write_all(&sample).unwrap();
    }
    // The input stays open; a program that waited for its end would never answer.
    let mut start = vec![0; 5000];
    output.read_exact(&mut start).unwrap();
    assert!(body(&start).len() > 4000);
    drop(input);
    io::copy(&mut output, &mut io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn pictures_keep_their_shape_if_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    // The sample has 320x240.
    let cases = [
        (&["--size", "160x160"][..], "160x160", true),
        (&["--size", "160x160", "--fit", "pad"], "160x160", false),
        (&["--size", "160x160", "--fit", "inside"], "160x120", false),
        (&["--size", "-1x60", "--filter", "lanczos3"], "80x60", false),
        (&["--size", "25%"], "80x60", false),
    ];
    for (arguments, size, stretched) in cases {
        let output = oggflv(folder.path(), &[&[SAMPLE, "out.flv", "-y"][..], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr.contains("note: pictures of 320x240 fill 160x160"), stretched, "{stderr}");
        let arguments = [&[SAMPLE, "out.flv", "-y", "--json"][..], arguments].concat();
        let report = last_object(&oggflv(folder.path(), &arguments).stdout);
        assert_eq!(format!("{}x{}", report["video"]["width"], report["video"]["height"]), size);
        assert_eq!(report["notes"].as_array().unwrap().len(), usize::from(stretched));
    }
    let quiet = oggflv(folder.path(), &[SAMPLE, "out.flv", "-y", "--quiet", "--size", "160x160"]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

/// The last of the objects that `--json` prints.
fn last_object(printed: &[u8]) -> serde_json::Value {
    let printed = String::from_utf8_lossy(printed);
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

#[test]
fn programs_are_told_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = oggflv(folder.path(), &[SAMPLE, "out.flv", "--json", "--psnr", "--size", "160x120"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report = last_object(&output.stdout);
    assert_eq!((&report["type"], &report["output"]), (&"report".into(), &"out.flv".into()));
    assert_eq!(report["bytes"], fs::metadata(folder.path().join("out.flv")).unwrap().len());
    assert_eq!((&report["warnings"], &report["losses"]), (&serde_json::json!([]), &serde_json::json!([])));
    let video = &report["video"];
    assert_eq!((&video["width"], &video["height"]), (&160.into(), &120.into()));
    assert_eq!(
        (&video["decoded"], &video["coded"], &video["damaged"]),
        (&120.into(), &120.into(), &0.into())
    );
    for psnr in video["psnr"].as_array().unwrap() {
        assert!((30.0..55.0).contains(&psnr.as_f64().unwrap()), "{video}");
    }
    assert!(report["cpu"]["encode"].as_f64().unwrap() > 0.0 || cfg!(not(unix)), "{report}");

    let mut damaged = fs::read(SAMPLE).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 400].fill(0);
    fs::write(folder.path().join("damaged.ogv"), damaged).unwrap();
    let output = oggflv(folder.path(), &["damaged.ogv", "x.flv", "--json", "--no-audio"]);
    let loss = &last_object(&output.stdout)["losses"][0];
    assert!(loss["pictures"].as_u64() > Some(0) && loss["start"].as_f64() > Some(1.0), "{loss}");
    fs::remove_file(folder.path().join("x.flv")).unwrap();

    let output = oggflv(folder.path(), &["missing.ogv", "x.flv", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(last_object(&output.stdout)["type"], "error");
    // Where the FLV has standard output, objects go to the other one.
    let output = oggflv(folder.path(), &[SAMPLE, "-", "--json"]);
    assert_eq!(&output.stdout[..3], b"FLV");
    assert_eq!(last_object(&output.stderr)["bytes"], output.stdout.len());
}

#[test]
fn the_file_gets_the_size_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    for (size, bytes) in [("100kB", 100_000), ("160kB", 160_000), ("300kB", 300_000)] {
        let output = oggflv(folder.path(), &[SAMPLE, "out.flv", "-y", "--target-size", size]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let length = fs::metadata(folder.path().join("out.flv")).unwrap().len();
        assert!((bytes * 99 / 100..=bytes * 101 / 100).contains(&length), "{length} bytes for {size}");
    }
    fs::remove_file(folder.path().join("out.flv")).unwrap();
    let output = oggflv(folder.path(), &[SAMPLE, "out.flv", "--target-size", "50k"]);
    assert_fails(&output, 1, "50000 bytes are too few");
    let mut piped = command(folder.path(), &["-", "out.flv", "--target-size", "100k"]);
    let output = piped.stdin(fs::File::open(SAMPLE).unwrap()).output().unwrap();
    assert_fails(&output, 1, "read only once");
    assert!(names(folder.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn named_pipes_and_devices_take_what_standard_output_takes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(oggflv(folder.path(), &[SAMPLE, "/dev/null"]).status.success());
    let pipe = folder.path().join("pipe.flv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
    assert!(oggflv(folder.path(), &[SAMPLE, "pipe.flv"]).status.success());
    assert!(reader.join().unwrap() == oggflv(folder.path(), &[SAMPLE, "-"]).stdout);
}

#[test]
fn many_files_are_converted_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.ogv", "c.ogv"] {
        fs::copy(SAMPLE, folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("b.ogv"), "no Ogg").unwrap();
    let files = ["--out-dir", "out/flv", "a.ogv", "b.ogv", "c.ogv", "--no-video"];
    let output = oggflv(folder.path(), &files);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(
        matches!(lines[..], [first, last] if first.contains("b.ogv: not an Ogg file")
        && last == "oggflv: 1 of 3 files failed: b.ogv"),
        "{stderr}"
    );
    let mut made = names(&folder.path().join("out/flv"));
    made.sort();
    assert_eq!(made, ["a.flv", "c.flv"]);

    // What is there is passed over; what failed is tried again.
    let a = folder.path().join("out/flv/a.flv");
    fs::write(&a, "mine").unwrap();
    fs::copy(SAMPLE, folder.path().join("b.ogv")).unwrap();
    let output = oggflv(folder.path(), &[&files[..], &["--skip-existing"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(fs::read(a).unwrap(), b"mine");
    assert_eq!(names(&folder.path().join("out/flv")).len(), 3);
}

#[test]
fn metadata_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [SAMPLE, "out.flv", "--no-video", "--meta", "title=Holidays", "--meta", "width=7"];
    assert!(oggflv(folder.path(), &arguments).status.success());
    let file = FlvFile::parse(&fs::read(folder.path().join("out.flv")).unwrap());
    assert!(matches!(file.property("title"), Value::String(title) if title == "Holidays"));
    let streamed = oggflv(folder.path(), &[SAMPLE, "-", "--no-video", "--meta", "title=Holidays"]);
    assert!(streamed.stdout.windows(8).any(|bytes| bytes == b"Holidays"));
}

#[test]
fn a_picture_can_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let luma = |name: &str| {
        let picture = image::open(folder.path().join(name)).unwrap().to_luma8();
        assert_eq!(picture.dimensions(), (160, 120));
        picture.pixels().map(|pixel| u32::from(pixel.0[0])).sum::<u32>() / (160 * 120)
    };
    // The sample is white at 2.002 s, for a frame.
    let arguments = [SAMPLE, "a.flv", "--size", "160x120", "--poster", "a.png", "--poster-at", "2.01"];
    assert!(oggflv(folder.path(), &arguments).status.success());
    assert!(luma("a.png") > 200);
    let arguments = [SAMPLE, "b.flv", "--size", "160x120", "--poster", "b.jpg"];
    assert!(oggflv(folder.path(), &arguments).status.success());
    assert!(luma("b.jpg") < 200);
    let files =
        || fs::read(folder.path().join("a.flv")).unwrap() == fs::read(folder.path().join("b.flv")).unwrap();
    assert!(files(), "the film is the same");
    let wrong = oggflv(folder.path(), &[SAMPLE, "c.flv", "--poster", "a.png"]);
    assert_fails(&wrong, 1, "a.png: exists already");
    let wrong = oggflv(folder.path(), &[SAMPLE, "c.flv", "--poster", "c.gif"]);
    assert_fails(&wrong, 1, "c.gif: is no name for a picture");
    let wrong = oggflv(folder.path(), &[SAMPLE, "c.flv", "--poster", "missing/c.png"]);
    assert_fails(&wrong, 1, "missing/c.png: cannot be written");
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn the_short_help_fits_on_a_screen_and_the_long_one_explains() {
    let folder = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let output = oggflv(folder.path(), arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (short, long) = (help(&["-h"]), help(&["--help"]));
    assert!((24..=44).contains(&short.lines().count()), "{} lines", short.lines().count());
    assert!(short.contains("--size") && short.contains("Sound:") && !short.contains("--max-pixels"));
    for option in
        ["--max-pixels", "--fps", "--contact-sheet-grid", "[default: 16777216]", "Example: --keyint 2"]
    {
        assert!(long.contains(option), "{option}");
    }
    assert!(
        help(&["man", "remux"]).contains("oggflv\\-remux")
            || help(&["man", "remux"]).contains("oggflv-remux")
    );
    assert!(help(&["man"]).contains("contact"));
    let unknown = oggflv(folder.path(), &["man", "nothing"]);
    assert_fails(&unknown, 2, "there is no command nothing: probe");
}

#[test]
fn the_manual_and_completions_name_the_options() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in
        [&["man"][..], &["completions", "bash"], &["completions", "zsh"], &["completions", "fish"]]
    {
        let output = oggflv(folder.path(), arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap().replace('\\', "");
        assert!(text.contains("keyint") && text.contains("audio-bitrate"), "{arguments:?}: {text}");
    }
}

#[test]
fn wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, message) in [
        (&[][..], "<FILE>"),
        (&["a.ogv", "b.flv", "c.flv"], "--out-dir"),
        (&["a/x.ogv", "b/x.ogv", "--out-dir", "out"], "two files would become out/x.flv"),
        (&["-", "--out-dir", "out"], "gives the output no name"),
        (&["in.ogv", "--meta", "title"], "title=Holidays"),
        (&["in.ogv", "--skip-existing", "--overwrite"], "cannot be used with"),
        (&["-"], "name the output"),
        (&["in.ogv", "--quality", "50", "--video-bitrate", "600k"], "cannot be used with"),
        (&["in.ogv", "--target-size", "1MB", "--video-bitrate", "600k"], "cannot be used with"),
        (&["in.ogv", "--target-size", "1XB"], "such as 124MB"),
        (&["in.ogv", "--json", "--quiet"], "cannot be used with"),
        (&["in.ogv", "--bufsize", "600k"], "--maxrate"),
        (&["in.ogv", "--preset", "slow"], "slow"),
        (&["in.ogv", "--threads", "0"], "--threads"),
        (&["in.ogv", "--size", "800"], "800x600"),
        (&["in.ogv", "--quality", "101"], "0 (smallest) to 100"),
        (&["in.ogv", "--audio-bitrate", "128"], "8k to 320k"),
        (&["in.ogv", "--no-audio", "--no-video"], "cannot be used with"),
        (&["in.ogv", "--unknown"], "--unknown"),
    ] {
        assert_fails(&oggflv(folder.path(), arguments), 2, message);
    }
}

#[test]
fn failures_take_one_line_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.ogv"), "no Ogg").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (input, message) in [
        ("missing.ogv", "oggflv: missing.ogv: cannot be read"),
        ("text.ogv", "oggflv: text.ogv: not an Ogg file"),
        ("folder", "oggflv: folder: is a folder"),
    ] {
        assert_fails(&oggflv(folder.path(), &[input, "out.flv"]), 1, message);
    }
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(left, ["folder", "text.ogv"]);
}

#[test]
fn an_existing_output_needs_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out.flv");
    fs::write(&target, "mine").unwrap();
    assert_fails(&oggflv(folder.path(), &[SAMPLE, "out.flv"]), 1, "--overwrite");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    assert!(oggflv(folder.path(), &[SAMPLE, "out.flv", "--overwrite"]).status.success());
    assert_eq!(fs::read(&target).unwrap()[..3], *b"FLV");
}

#[cfg(unix)]
#[test]
fn signals_stop_it_and_leave_nothing() {
    use std::io::Write;
    use std::time::{Duration, Instant};

    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path(), &["-", "out.flv"]);
        let mut child = child.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Standard input stays open, so that it waits for more.
        child.stdin.as_mut().unwrap().write_all(&fs::read(SAMPLE).unwrap()[..80_000]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while names(folder.path()).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(names(folder.path()).len(), 1, "the temporary file");
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_fails(&output, 130, "interrupted");
        assert!(names(folder.path()).is_empty());
    }
}
