//! The folder that `oggflv page` makes. What it looks like and whether it plays is seen by `tests/browser/run`.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crc32fast::hash;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv");

fn oggflv(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oggflv"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = oggflv(folder, arguments);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn fails(folder: &Path, arguments: &[&str], message: &str) {
    let output = oggflv(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

/// A folder with `film.flv` of 160x120 and four seconds, and its poster `film.jpg`.
fn with_film() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let film = [SAMPLE, "film.flv", "--size", "160x120", "--poster", "film.jpg", "--preset", "fast"];
    assert_eq!(succeeds(folder.path(), &film), "");
    folder
}

/// Something that looks like the npm package.
fn add_ruffle(folder: &Path) {
    let package = folder.join("package");
    fs::create_dir(&package).unwrap();
    for name in [
        "ruffle.js",
        "ruffle.js.map",
        "core.ruffle.1a.js",
        "2b.wasm",
        "LICENSE_MIT",
        "package.json",
        "README.md",
    ] {
        fs::write(package.join(name), name).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_folder_with_everything() {
    let folder = with_film();
    add_ruffle(folder.path());
    assert_eq!(
        succeeds(folder.path(), &["page", "film.flv", "--out-dir", "web/page", "--ruffle", "package"]),
        ""
    );
    let page = folder.path().join("web/page");
    let files = ["film.flv", "index.html", "player.css", "player.js", "player.swf", "poster.jpg", "ruffle"];
    assert_eq!(names(&page), files);
    assert_eq!(
        names(&page.join("ruffle")),
        ["2b.wasm", "LICENSE_MIT", "core.ruffle.1a.js", "package.json", "ruffle.js"]
    );
    let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
    assert!(read("web/page/film.flv") == read("film.flv"));
    assert!(read("web/page/poster.jpg") == read("film.jpg"));
    let html = String::from_utf8(read("web/page/index.html")).unwrap();
    for part in [
        "<title>film</title>",
        "--width: 160; --height: 120",
        r#"data-film="film.flv" data-duration="4.0"#,
        "0:04",
        r#"<img class="poster" src="poster.jpg" alt="">"#,
        "connect-src 'self';",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("{{"), "{html}");
}

#[test]
fn without_ruffle_it_says_how_to_get_it() {
    let folder = with_film();
    let note = succeeds(folder.path(), &["page", "film.flv", "--out-dir", "page"]);
    assert!(note.contains("npm install @ruffle-rs/ruffle") && note.lines().count() == 1, "{note}");
    // Once it is there nothing has to be said.
    add_ruffle(folder.path());
    succeeds(folder.path(), &["page", "film.flv", "--out-dir", "page", "-y", "--ruffle", "package"]);
    assert_eq!(succeeds(folder.path(), &["page", "film.flv", "--out-dir", "page", "-y"]), "");
    assert!(folder.path().join("page/ruffle/ruffle.js").exists());
}

#[test]
fn titles_and_names_are_escaped() {
    let folder = with_film();
    let (title, name) = ("</title><script>alert('1')</script> & \"{{film}}\"", "a b#c?%ü'&.flv");
    fs::rename(folder.path().join("film.flv"), folder.path().join(name)).unwrap();
    succeeds(folder.path(), &["page", name, "--out-dir", "page", "--title", title]);
    let html = fs::read_to_string(folder.path().join("page/index.html")).unwrap();
    let escaped = "&lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;{{film}}&quot;";
    assert_eq!(html.matches(escaped).count(), 4, "{html}");
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches(r#""a%20b%23c%3F%25%C3%BC%27%26.flv""#).count(), 2, "{html}");
    assert!(folder.path().join("page").join(name).exists());
}

#[test]
fn the_title_is_that_of_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(folder.path(), &[SAMPLE, "a.flv", "--no-video", "--meta", "title=Holidays & more"]);
    succeeds(folder.path(), &["page", "a.flv", "--out-dir", "page"]);
    let html = fs::read_to_string(folder.path().join("page/index.html")).unwrap();
    assert!(html.contains("<h1>Holidays &amp; more</h1>") && !html.contains("poster.jpg"), "{html}");
}

#[test]
fn a_film_elsewhere_is_not_copied() {
    let folder = with_film();
    let url = "https://streams.example.com:8443/a/film.flv?x=1&y=2";
    succeeds(folder.path(), &["page", url, "--out-dir", "blind"]);
    succeeds(folder.path(), &["page", "film.flv", "--out-dir", "known", "--url", url]);
    for (page, duration, poster) in
        [("blind", "data-duration=\"0\"", false), ("known", "data-duration=\"4", true)]
    {
        let page = folder.path().join(page);
        let html = fs::read_to_string(page.join("index.html")).unwrap();
        assert!(html.contains("connect-src 'self' https://streams.example.com:8443;"), "{html}");
        assert!(
            html.contains(r#"data-film="https://streams.example.com:8443/a/film.flv?x=1&amp;y=2""#),
            "{html}"
        );
        assert!(html.contains("<h1>film</h1>") && html.contains(duration), "{html}");
        assert_eq!((page.join("poster.jpg").exists(), page.join("film.flv").exists()), (poster, false));
    }
    for wrong in [
        "ftp://a/film.flv",
        "//a/film.flv",
        "film.flv",
        "https://a;script-src *//f",
        "https://u@a/",
        "http:// a/",
    ] {
        fails(
            folder.path(),
            &["page", "film.flv", "--out-dir", "wrong", "--url", wrong],
            "is no address of a film",
        );
    }
    assert!(!folder.path().join("wrong").exists());
}

#[test]
fn what_is_in_the_folder_stays() {
    let folder = with_film();
    let page = folder.path().join("page");
    fs::create_dir(&page).unwrap();
    fs::write(page.join("mine.txt"), "mine").unwrap();
    fs::write(page.join("index.html"), "mine").unwrap();
    fails(folder.path(), &["page", "film.flv", "--out-dir", "page"], "page: is not empty; --overwrite");
    assert_eq!(names(&page), ["index.html", "mine.txt"]);
    succeeds(folder.path(), &["page", "film.flv", "--out-dir", "page", "--overwrite"]);
    assert_eq!(fs::read(page.join("mine.txt")).unwrap(), b"mine");
    assert!(fs::read_to_string(page.join("index.html")).unwrap().contains("<h1>film</h1>"));
    // An empty folder is as good as none.
    fs::create_dir(folder.path().join("empty")).unwrap();
    succeeds(folder.path(), &["page", "film.flv", "--out-dir", "empty"]);
}

#[test]
fn what_fails_leaves_nothing() {
    let folder = with_film();
    fs::write(folder.path().join("text.jpg"), "no picture").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["missing.flv"], "missing.flv: cannot be read"),
        (&[SAMPLE], "is no FLV file"),
        (&["text.jpg"], "neither Ogg nor FLV"),
        (&["film.flv", "--poster", "text.jpg"], "text.jpg: is neither JPEG nor PNG"),
        (&["film.flv", "--poster", "none.png"], "none.png: cannot be read"),
        (&["film.flv", "--ruffle", "empty"], "there is no ruffle.js in it"),
    ];
    for (arguments, message) in cases {
        fails(folder.path(), &[&["page", "--out-dir", "page"], arguments].concat(), message);
        assert!(!folder.path().join("page").exists(), "{arguments:?}");
        fails(folder.path(), &[&["page", "--out-dir", "empty"], arguments].concat(), message);
        assert!(names(&folder.path().join("empty")).is_empty(), "{arguments:?}");
    }
}

/// Tags of a SWF: code and content.
fn tags(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut tags = Vec::new();
    while !bytes.is_empty() {
        let head = u16::from_le_bytes([bytes[0], bytes[1]]);
        let (mut start, mut length) = (2, usize::from(head & 63));
        if length == 63 {
            (start, length) = (6, u32::from_le_bytes(bytes[2..6].try_into().unwrap()) as usize);
        }
        tags.push((head >> 6, &bytes[start..start + length]));
        bytes = &bytes[start + length..];
    }
    tags
}

/// Walks over actions: functions end where they say, and the code with an action 0.
fn assert_actions(mut code: &[u8]) {
    let mut ends = Vec::new();
    while code[0] != 0 {
        let (action, mut length) = (code[0], 1);
        if action >= 0x80 {
            length = 3 + usize::from(u16::from_le_bytes([code[1], code[2]]));
        }
        let content = &code[..length];
        code = &code[length..];
        if action == 0x9B {
            let body = u16::from_le_bytes([content[length - 2], content[length - 1]]);
            ends.push(code.len() - usize::from(body));
        }
        while ends.last() == Some(&code.len()) {
            ends.pop();
        }
        assert!(ends.last().is_none_or(|end| *end < code.len()), "an action reaches beyond its function");
    }
    assert_eq!((code.len(), ends.len()), (1, 0));
}

#[test]
fn the_player_is_a_small_swf() {
    let folder = with_film();
    succeeds(folder.path(), &["page", "film.flv", "--out-dir", "page"]);
    let swf = fs::read(folder.path().join("page/player.swf")).unwrap();
    assert!(swf.len() < 2048, "{} bytes", swf.len());
    assert_eq!((&swf[..4], &swf[4..8]), (&b"FWS\x08"[..], &(swf.len() as u32).to_le_bytes()[..]));
    // The stage: 15 bits a side; 640x480 in twentieths of a pixel.
    let bits = swf[8..17].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte)) >> 7;
    let sides = [45, 30, 15, 0].map(|shift| bits >> shift & 0x7FFF);
    assert_eq!((bits >> 60, sides), (15, [0, 640 * 20, 0, 480 * 20]));
    assert_eq!(swf[19..21], [1, 0], "one frame");
    let tags = tags(&swf[21..]);
    assert_eq!(tags.iter().map(|tag| tag.0).collect::<Vec<_>>(), [69, 9, 60, 26, 12, 1, 0]);
    assert_actions(tags[4].1);
    // These bytes were seen playing.
    assert_eq!((swf.len(), hash(&swf)), (1134, 0xADA60542));
}
