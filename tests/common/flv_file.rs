//! An FLV file taken apart again, from the specification alone: nothing here is shared with the muxer but the type
//! that holds metadata.

use oggflv::flv::Value;

pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const SCRIPT: u8 = 18;

/// A tag.
pub(crate) struct Tag {
    pub(crate) kind: u8,
    pub(crate) timestamp: u32,
    pub(crate) body: Vec<u8>,
    /// Where it begins in the file.
    pub(crate) offset: usize,
}

impl Tag {
    /// A video tag whose FrameType is 1.
    pub(crate) fn is_key_frame(&self) -> bool {
        self.kind == VIDEO && self.body[0] >> 4 == 1
    }
}

/// A file; reading one asserts that its framing is right.
pub(crate) struct FlvFile {
    /// TypeFlags of the header.
    pub(crate) flags: u8,
    /// All tags but `onMetaData`.
    pub(crate) tags: Vec<Tag>,
    metadata: Vec<(String, Value)>,
}

impl FlvFile {
    pub(crate) fn parse(file: &[u8]) -> Self {
        assert_eq!(file[..4], *b"FLV\x01");
        assert_eq!(file[5..13], [0, 0, 0, 9, 0, 0, 0, 0]);
        let mut tags = Vec::new();
        let mut offset = 13;
        while offset < file.len() {
            let header = &file[offset..offset + 11];
            let size = be(&header[1..4]) as usize;
            let timestamp = be(&header[4..7]) | u32::from(header[7]) << 24;
            assert_eq!(header[8..11], [0; 3], "StreamID at {offset}");
            let body = file[offset + 11..offset + 11 + size].to_vec();
            assert_eq!(
                be(&file[offset + 11 + size..][..4]) as usize,
                11 + size,
                "PreviousTagSize at {offset}"
            );
            tags.push(Tag { kind: header[0], timestamp, body, offset });
            offset += 11 + size + 4;
        }
        let script = tags.remove(0);
        assert_eq!((script.kind, script.timestamp), (SCRIPT, 0));
        let mut amf = Amf(&script.body);
        assert_eq!(amf.value(), Value::String("onMetaData".into()));
        let Value::EcmaArray(metadata) = amf.value() else { panic!("onMetaData is an ECMA array") };
        assert!(amf.0.is_empty());
        assert!(tags.iter().all(|tag| tag.kind == AUDIO || tag.kind == VIDEO));
        assert!(tags.is_sorted_by_key(|tag| tag.timestamp), "timestamps go back");
        Self { flags: file[4], tags, metadata }
    }

    pub(crate) fn of_kind(&self, kind: u8) -> Vec<&Tag> {
        self.tags.iter().filter(|tag| tag.kind == kind).collect()
    }

    /// The timestamps of all tags of one kind.
    pub(crate) fn times(&self, kind: u8) -> Vec<u32> {
        self.of_kind(kind).iter().map(|tag| tag.timestamp).collect()
    }

    pub(crate) fn property(&self, name: &str) -> &Value {
        let found = self.metadata.iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("no {name} in onMetaData")).1
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        match self.property(name) {
            Value::Number(number) => *number,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// The index of key frames: seconds and offsets.
    pub(crate) fn key_frames(&self) -> Vec<(f64, usize)> {
        let Value::Object(index) = self.property("keyframes") else { panic!("keyframes is an object") };
        let list = |name: &str| match index.iter().find(|(key, _)| key == name) {
            Some((_, Value::StrictArray(values))) => values.clone(),
            other => panic!("{name} is {other:?}"),
        };
        list("times")
            .into_iter()
            .zip(list("filepositions"))
            .map(|pair| match pair {
                (Value::Number(time), Value::Number(position)) => (time, position as usize),
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// AMF 0 data that is still to be read.
struct Amf<'a>(&'a [u8]);

impl Amf<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        let length = be(self.take(2)) as usize;
        String::from_utf8(self.take(length).to_vec()).expect("UTF-8")
    }

    fn properties(&mut self) -> Vec<(String, Value)> {
        let mut properties = Vec::new();
        loop {
            let name = self.text();
            if name.is_empty() {
                assert_eq!(self.take(1), [9]);
                return properties;
            }
            let value = self.value();
            properties.push((name, value));
        }
    }

    fn value(&mut self) -> Value {
        match self.take(1)[0] {
            0 => Value::Number(f64::from_be_bytes(self.take(8).try_into().expect("8 bytes"))),
            1 => Value::Boolean(self.take(1)[0] != 0),
            2 => Value::String(self.text()),
            3 => Value::Object(self.properties()),
            8 => {
                let count = be(self.take(4)) as usize;
                let properties = self.properties();
                assert_eq!(properties.len(), count);
                Value::EcmaArray(properties)
            }
            10 => {
                let count = be(self.take(4));
                Value::StrictArray((0..count).map(|_| self.value()).collect())
            }
            other => panic!("AMF type {other}"),
        }
    }
}
