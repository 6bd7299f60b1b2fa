//! A proxy that treats requests badly. It takes one request a connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives, and so does the answer.
    Arrives,
    /// Half of it is read, then the connection is reset.
    Reset,
    /// It arrives, but the connection is reset instead of an answer.
    AnswerLost,
    /// A server that is overloaded answers with this status.
    Refused(u16),
    /// One bit of its body is another one.
    Corrupted,
    /// Its body passes at this many bytes a second.
    Slow(u64),
    /// It is read, and there is never an answer.
    Ignored,
}

/// A proxy on a port of its own.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
}

impl Proxy {
    /// A proxy in front of `server`, where `fate` decides by the count of the requests of its kind, from 0 on, and the
    /// request's first line.
    pub(crate) fn start(
        server: SocketAddr,
        fate: impl Fn(usize, &str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (fate, parts, others) =
            (Arc::new(fate), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (fate, parts, others) = (Arc::clone(&fate), Arc::clone(&parts), Arc::clone(&others));
                thread::spawn(move || {
                    let decide = |line: &str| {
                        let counter = if is_part(line) { &parts } else { &others };
                        fate(counter.fetch_add(1, Ordering::Relaxed), line)
                    };
                    // Either side may be gone at any time; that is what this is for.
                    let _ = pass(client, server, decide);
                });
            }
        });
        Self { address }
    }
}

/// Whether a request sends a part.
pub(crate) fn is_part(line: &str) -> bool {
    line.starts_with("PUT ") && line.contains("partNumber=")
}

/// Passes a request and its answer.
fn pass(mut client: TcpStream, server: SocketAddr, decide: impl Fn(&str) -> Fate) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(!text.contains("transfer-encoding") && !text.contains("expect:"), "{text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: u64 = length.map_or(0, |length| length.trim().parse().unwrap());
    let line = String::from_utf8_lossy(&head).lines().next().unwrap().to_owned();
    let fate = decide(&line);
    if fate == Fate::Reset {
        io::copy(&mut (&mut client).take(length / 2), &mut io::sink())?;
        // What is left unread makes the system reset the connection.
        return Ok(());
    }
    if let Fate::Refused(status) = fate {
        io::copy(&mut (&mut client).take(length), &mut io::sink())?;
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let length = body.len();
        return write!(
            client,
            "HTTP/1.1 {status} Busy\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
    if fate == Fate::Ignored {
        io::copy(&mut client, &mut io::sink())?;
        return Ok(());
    }
    let mut upstream = TcpStream::connect(server)?;
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"connection: close\r\n\r\n");
    upstream.write_all(&head)?;
    let mut chunk = vec![0; 1 << 16];
    let mut passed = 0;
    while passed < length {
        let want = chunk.len().min((length - passed) as usize);
        let count = client.read(&mut chunk[..want])?;
        if count == 0 {
            return Ok(());
        }
        if fate == Fate::Corrupted && (passed..passed + count as u64).contains(&(length / 2)) {
            chunk[(length / 2 - passed) as usize] ^= 1;
        }
        if let Fate::Slow(bytes_a_second) = fate {
            thread::sleep(Duration::from_secs_f64(count as f64 / bytes_a_second as f64));
        }
        upstream.write_all(&chunk[..count])?;
        passed += count as u64;
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    if fate == Fate::AnswerLost {
        // Nothing is unread, so the connection is closed in order, but without an answer.
        return client.shutdown(Shutdown::Both);
    }
    client.write_all(&answer)
}
