//! The player that the page gives to Ruffle: a SWF of one frame with an ActionScript 1 program in it (SWF File Format
//! Specification, version 19).
//!
//! It opens a NetStream and does what it is told; everything else is the page's. What it exports is called by
//! `callExternalInterface` of Ruffle. It never calls the page, since that takes `eval`.

use oggflv_common::{BitSink, BitWriter};

/// Version 8: strings are UTF-8, names are case-sensitive, and there is `flash.external.ExternalInterface`.
const VERSION: u8 = 8;
/// The stage in pixels; the page stretches it to the shape of the pictures.
const STAGE: (u16, u16) = (640, 480);
/// Twentieths of a pixel.
const TWIPS: u32 = 20;
/// Pictures appear when they are decoded, whatever this is.
const FRAMES_PER_SECOND: u8 = 12;
/// The character that shows the pictures, and the name of its instance.
const PICTURE: (u16, &str) = (1, "picture");

/// The player. It exports
///
/// - `play(url)`, `pause(yes)`, `seek(seconds)`, which are the methods of its NetStream;
/// - `state()`: an object of `time` in seconds, `loaded` and `total` in bytes, and `events`: the codes of all `onStatus`
///   since the call before, with a blank behind each;
/// - `metadata()`: what the file says in `onMetaData`, `null` before that was read.
pub(super) fn player() -> Vec<u8> {
    let mut body = stage();
    body.extend([0, FRAMES_PER_SECOND, 1, 0]); // the rate in 8.8, one frame
    tag(&mut body, 69, &[1, 0, 0, 0]); // FileAttributes: UseNetwork
    tag(&mut body, 9, &[0, 0, 0]); // SetBackgroundColor
    tag(&mut body, 60, &video_stream());
    tag(&mut body, 26, &place());
    tag(&mut body, 12, &[program(), vec![0]].concat()); // DoAction
    tag(&mut body, 1, &[]); // ShowFrame
    tag(&mut body, 0, &[]); // End
    let length = (8 + body.len()) as u32;
    [&b"FWS"[..], &[VERSION], &length.to_le_bytes(), &body].concat()
}

/// Appends a tag: code and length in 16 bits, the length in 32 more if it is 63 or above.
fn tag(out: &mut Vec<u8>, code: u16, content: &[u8]) {
    let length = content.len() as u32;
    out.extend((code << 6 | length.min(63) as u16).to_le_bytes());
    if length >= 63 {
        out.extend(length.to_le_bytes());
    }
    out.extend_from_slice(content);
}

/// RECT: the width of its fields, then left, right, top, bottom.
fn stage() -> Vec<u8> {
    let mut bits = BitWriter::new();
    bits.put(15, 5);
    for side in [0, STAGE.0, 0, STAGE.1] {
        bits.put(u32::from(side) * TWIPS, 15);
    }
    bits.into_bytes()
}

/// DefineVideoStream: no frames of its own, smoothing, Sorenson H.263.
fn video_stream() -> Vec<u8> {
    let words = [PICTURE.0, 0, STAGE.0, STAGE.1].map(u16::to_le_bytes);
    [words.as_flattened(), &[1, 2]].concat()
}

/// PlaceObject2: a character at depth 1, where it is, by name.
fn place() -> Vec<u8> {
    const HAS_NAME_MATRIX_CHARACTER: u8 = 0x26;
    let words = [1, PICTURE.0].map(u16::to_le_bytes);
    [&[HAS_NAME_MATRIX_CHARACTER], words.as_flattened(), &[0], PICTURE.1.as_bytes(), &[0]].concat()
}

fn program() -> Vec<u8> {
    use Expression::{Null, Text};
    let connection = || variable("connection");
    let stream = || variable("stream");
    let export = |name, object, function| {
        let arguments = vec![Text(name), object, function];
        Statement::Run(call(variable("external"), "addCallback", arguments))
    };
    let mut code = Vec::new();
    for statement in [
        Statement::Set("external", member(member(variable("flash"), "external"), "ExternalInterface")),
        Statement::Set("connection", new("NetConnection", vec![])),
        Statement::Run(call(connection(), "connect", vec![Null])),
        Statement::Set("stream", new("NetStream", vec![connection()])),
        Statement::Run(call(variable(PICTURE.1), "attachVideo", vec![stream()])),
        Statement::Run(call(variable("_root"), "attachAudio", vec![stream()])),
        Statement::Set("events", Text("")),
        Statement::Set("metadata", Null),
        Statement::SetMember(
            stream(),
            "onStatus",
            function(
                Some("info"),
                vec![Statement::Set(
                    "events",
                    add(add(variable("events"), member(variable("info"), "code")), Text(" ")),
                )],
            ),
        ),
        Statement::SetMember(
            stream(),
            "onMetaData",
            function(Some("data"), vec![Statement::Set("metadata", variable("data"))]),
        ),
        export("play", stream(), member(stream(), "play")),
        export("pause", stream(), member(stream(), "pause")),
        export("seek", stream(), member(stream(), "seek")),
        export("metadata", Null, function(None, vec![Statement::Return(variable("metadata"))])),
        export(
            "state",
            Null,
            function(
                None,
                vec![
                    Statement::Set(
                        "state",
                        Expression::Object(vec![
                            ("time", member(stream(), "time")),
                            ("loaded", member(stream(), "bytesLoaded")),
                            ("total", member(stream(), "bytesTotal")),
                            ("events", variable("events")),
                        ]),
                    ),
                    Statement::Set("events", Text("")),
                    Statement::Return(variable("state")),
                ],
            ),
        ),
    ] {
        statement.compile(&mut code);
    }
    code
}

/// Something with a value.
enum Expression {
    Null,
    Text(&'static str),
    Number(u32),
    Variable(&'static str),
    Member(Box<Expression>, &'static str),
    Add(Box<[Expression; 2]>),
    New(&'static str, Vec<Expression>),
    Call(Box<Expression>, &'static str, Vec<Expression>),
    Object(Vec<(&'static str, Expression)>),
    /// With one parameter or none.
    Function(Option<&'static str>, Vec<Statement>),
}

/// Something to do.
enum Statement {
    Run(Expression),
    Set(&'static str, Expression),
    SetMember(Expression, &'static str, Expression),
    Return(Expression),
}

fn variable(name: &'static str) -> Expression {
    Expression::Variable(name)
}

fn member(object: Expression, name: &'static str) -> Expression {
    Expression::Member(Box::new(object), name)
}

fn add(left: Expression, right: Expression) -> Expression {
    Expression::Add(Box::new([left, right]))
}

fn new(class: &'static str, arguments: Vec<Expression>) -> Expression {
    Expression::New(class, arguments)
}

fn call(object: Expression, method: &'static str, arguments: Vec<Expression>) -> Expression {
    Expression::Call(Box::new(object), method, arguments)
}

fn function(parameter: Option<&'static str>, body: Vec<Statement>) -> Expression {
    Expression::Function(parameter, body)
}

// Actions of SWF 3 to 5.
const POP: u8 = 0x17;
const GET_VARIABLE: u8 = 0x1C;
const SET_VARIABLE: u8 = 0x1D;
const RETURN: u8 = 0x3E;
const NEW_OBJECT: u8 = 0x40;
const INIT_OBJECT: u8 = 0x43;
const ADD_2: u8 = 0x47;
const GET_MEMBER: u8 = 0x4E;
const SET_MEMBER: u8 = 0x4F;
const CALL_METHOD: u8 = 0x52;
const PUSH: u8 = 0x96;
const DEFINE_FUNCTION: u8 = 0x9B;

impl Statement {
    fn compile(&self, out: &mut Vec<u8>) {
        match self {
            Self::Run(expression) => {
                expression.compile(out);
                out.push(POP);
            }
            Self::Set(name, value) => {
                Expression::Text(name).compile(out);
                value.compile(out);
                out.push(SET_VARIABLE);
            }
            Self::SetMember(object, name, value) => {
                object.compile(out);
                Expression::Text(name).compile(out);
                value.compile(out);
                out.push(SET_MEMBER);
            }
            Self::Return(value) => {
                value.compile(out);
                out.push(RETURN);
            }
        }
    }
}

impl Expression {
    /// Appends what leaves its value on the stack.
    fn compile(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => action(out, PUSH, &[2]),
            Self::Text(text) => action(out, PUSH, &[&[0], text.as_bytes(), &[0]].concat()),
            Self::Number(number) => action(out, PUSH, &[&[7][..], &number.to_le_bytes()].concat()),
            Self::Variable(name) => {
                Self::Text(name).compile(out);
                out.push(GET_VARIABLE);
            }
            Self::Member(object, name) => {
                object.compile(out);
                Self::Text(name).compile(out);
                out.push(GET_MEMBER);
            }
            Self::Add(terms) => {
                terms.iter().for_each(|term| term.compile(out));
                out.push(ADD_2);
            }
            Self::New(class, arguments) => {
                push_arguments(out, arguments);
                Self::Text(class).compile(out);
                out.push(NEW_OBJECT);
            }
            Self::Call(object, method, arguments) => {
                push_arguments(out, arguments);
                object.compile(out);
                Self::Text(method).compile(out);
                out.push(CALL_METHOD);
            }
            Self::Object(members) => {
                for (name, value) in members {
                    Self::Text(name).compile(out);
                    value.compile(out);
                }
                Self::Number(members.len() as u32).compile(out);
                out.push(INIT_OBJECT);
            }
            Self::Function(parameter, statements) => {
                let mut code = Vec::new();
                statements.iter().for_each(|statement| statement.compile(&mut code));
                let mut header = vec![0]; // no name
                header.extend(u16::from(parameter.is_some()).to_le_bytes());
                if let Some(name) = parameter {
                    header.extend_from_slice(name.as_bytes());
                    header.push(0);
                }
                header.extend((code.len() as u16).to_le_bytes());
                action(out, DEFINE_FUNCTION, &header);
                out.extend(code);
            }
        }
    }
}

/// The last argument first, then how many there are.
fn push_arguments(out: &mut Vec<u8>, arguments: &[Expression]) {
    arguments.iter().rev().for_each(|argument| argument.compile(out));
    Expression::Number(arguments.len() as u32).compile(out);
}

/// Appends an action that has a length.
fn action(out: &mut Vec<u8>, code: u8, content: &[u8]) {
    out.push(code);
    out.extend((content.len() as u16).to_le_bytes());
    out.extend_from_slice(content);
}
