use bully::{Member, Origin, Pid, Refusal, Reply, Request, Roster};
use bully_host::names::Names;
use bully_host::pickle::message::{self, Keyed, Listed, Received};
use bully_host::pickle::writer::{self, Forms, OkForm, ProbeForm};
use bully_pickle::{Array, Buffer, Fault, Fixed, Ipv4, Output as _, Reader, Table as _};

use super::differential::nearly_messages;
use super::python::{pickles, unhex};
use super::reading::{reading, verdicts};

const MEMBERS: usize = 64;

type Small = Reader<Fixed<MEMBERS>>;

/// What a reader in arrays makes of `bytes` in pieces; `None` if it lacks capacity for them.
fn small(bytes: &[u8], size: usize) -> Option<[String; 3]> {
    let mut reader = Small::fixed();
    for piece in bytes.chunks(size) {
        match reader.push(piece) {
            Ok(Some(_)) => return Some(reading(&reader)),
            Ok(None) => {}
            Err(refused) => match refused.what {
                Fault::Values(_) | Fault::Members(_) | Fault::Text(_) | Fault::Marks(_) => {
                    return None;
                }
                // What was memoized may be forgotten, if it is asked for late.
                Fault::Unset(_) if bytes.len() > 1_000 => return None,
                _ => return Some(super::reading::refused()),
            },
        }
    }
    Some(super::reading::refused())
}

#[test]
fn every_message_is_read_as_on_the_heap() {
    let (mut read, mut lacked) = (0, Vec::new());
    for line in pickles("golden", String::new()) {
        let mut fields = line.split('\t');
        let name = fields.next().expect("a name");
        let bytes = unhex(fields.next().expect("bytes"));
        let expected: Vec<_> = fields.collect();
        for size in [1, 7, bytes.len()] {
            match small(&bytes, size) {
                Some(verdict) => assert_eq!(verdict[..], expected, "{name}, {size} at once"),
                None => lacked.push(name.to_owned()),
            }
            read += 1;
        }
    }
    // A list of 1,100 is too long, and so is a host or an error of hundreds of bytes.
    let odd = |name: &String| {
        !(name.contains("many") || name.contains("broken") || name.contains("long"))
    };
    lacked.retain(odd);
    assert_eq!(lacked, [""; 0], "of {read}");
}

#[test]
fn whatever_comes_is_read_as_on_the_heap_or_refused() {
    let (mut same, mut lacked) = (0, 0);
    for bytes in nearly_messages(8) {
        match small(&bytes, 1 + bytes.len() / 2) {
            Some(verdict) => {
                assert_eq!(verdict, verdicts(&bytes), "{}", bytes.escape_ascii());
                same += 1;
            }
            None => lacked += 1,
        }
    }
    assert!(
        same > 16_000 && lacked < 2_000,
        "{same} the same, {lacked} refused"
    );
}

fn group(count: u32, host: impl Fn(u32) -> [u8; 4]) -> Vec<Member> {
    let member = |n: u32| Member {
        pid: Pid {
            days: 300,
            id: 7_000_000 + n,
        },
        addr: Ipv4::addr(host(n).into(), 40_000 + n as u16).expect("a port above 0"),
    };
    (0..count).map(member).collect()
}

#[test]
fn a_list_of_as_many_as_there_is_capacity_for_comes_whole_from_one_host_or_many() {
    for host in [|_| [127, 0, 0, 1], |n| [192, 168, 100, 100 + n as u8]] {
        let group = group(MEMBERS as u32 + 1, host);
        for (count, fits) in [(MEMBERS, true), (MEMBERS + 1, false)] {
            let list = Roster::new(&group[..count]).expect("ascending");
            for keyed in [Keyed::Address, Keyed::Pid] {
                let forms = Forms {
                    keyed,
                    ..Forms::default()
                };
                let mut bytes = Vec::new();
                writer::request(
                    &mut bytes,
                    &Request::Coordinator(list),
                    &forms,
                    &Names::new(),
                );
                let mut reader = Small::fixed();
                let whole = reader.push(&bytes);
                assert_eq!(whole.is_ok(), fits, "{count} by {keyed:?}: {whole:?}");
                if fits {
                    let mut members = Array::<Member, 1, MEMBERS>::EMPTY;
                    let listed = Listed {
                        keyed: Some(keyed),
                        left_out: 0,
                    };
                    let parsed = message::request(&reader, &mut Ipv4, &mut members);
                    assert_eq!(parsed, Received::Coordinator(listed));
                    let mut members = members.as_slice().to_vec();
                    members.sort();
                    assert_eq!(members, list.members());
                }
            }
        }
    }
}

/// serde-pickle writes the short messages on the host; on a chip the same bytes come from constants.
#[test]
fn short_messages_are_the_same_bytes_without_serde_pickle() {
    let group = group(3, |n| [10, 0, 0, n as u8]);
    let origin = Origin {
        pid: group[0].pid,
        large: false,
        leads: false,
    };
    let list = Roster::new(&group)
        .expect("ascending")
        .with_origin(Some(origin));
    let wide = Member {
        pid: Pid {
            days: u32::MAX,
            id: 0x8000_0000,
        },
        addr: Ipv4::addr([255; 4].into(), 1).expect("a port above 0"),
    };
    let names = Names::new();
    for (ok, probe) in [
        (OkForm::Text, ProbeForm::None),
        (OkForm::Pair, ProbeForm::None),
        (OkForm::Members, ProbeForm::Members),
    ] {
        for keyed in [Keyed::Address, Keyed::Pid] {
            let forms = Forms {
                ok: Some(ok),
                probe: Some(probe),
                keyed,
            };
            for request in [
                Request::Join(group[1]),
                Request::Join(wide),
                Request::Probe(list),
                Request::Election(list),
                Request::Coordinator(list),
            ] {
                let (mut host, mut chip) = (Vec::new(), [0; 1_024]);
                writer::request(&mut host, &request, &forms, &names);
                let mut out = Buffer::new(&mut chip);
                bully_pickle::writer::request(&mut out, &request, &forms, &Ipv4);
                let len = out.end().expect("it fits");
                assert_eq!(
                    chip[..len].escape_ascii().to_string(),
                    host.escape_ascii().to_string()
                );
            }
            for (reply, detail) in [
                (Reply::Ok(list), None),
                (Reply::Members(list), None),
                (Reply::Refused(Refusal::Pid), None),
                (Reply::Refused(Refusal::Unexpected), Some("B\u{fc}GIN")),
                (Reply::Refused(Refusal::NotAMessage), Some("b'GET'")),
                (Reply::Refused(Refusal::Other), None),
            ] {
                let (mut host, mut chip) = (Vec::new(), [0; 1_024]);
                writer::reply(&mut host, &reply, &forms, &names, detail);
                let mut out = Buffer::new(&mut chip);
                let detail = detail.as_ref().map(|text| text as &dyn core::fmt::Display);
                bully_pickle::writer::reply(&mut out, &reply, &forms, &Ipv4, detail);
                let len = out.end().expect("it fits");
                assert_eq!(
                    chip[..len].escape_ascii().to_string(),
                    host.escape_ascii().to_string()
                );
            }
        }
    }
}

#[test]
fn a_buffer_that_is_too_small_is_noticed_and_nothing_is_written_past_it() {
    let group = group(20, |_| [127, 0, 0, 1]);
    let request = Request::Election(Roster::new(&group).expect("ascending"));
    let mut whole = Vec::new();
    writer::request(&mut whole, &request, &Forms::default(), &Names::new());
    for len in 0..=whole.len() {
        let mut bytes = vec![0xAA; whole.len() + 8];
        let mut out = Buffer::new(&mut bytes[..len]);
        bully_pickle::writer::request(&mut out, &request, &Forms::default(), &Ipv4);
        assert_eq!(out.written(), whole.len());
        let end = out.end();
        assert_eq!(end.is_some(), len == whole.len());
        assert!(bytes[len..].iter().all(|byte| *byte == 0xAA));
    }
}

#[test]
fn a_reader_in_arrays_is_as_small_as_it_says() {
    let bytes = size_of::<Small>();
    assert!(bytes <= 90 * MEMBERS + 1_400, "{bytes} bytes");
}

#[test]
fn hosts_of_a_chip_are_ipv4_addresses() {
    use bully_pickle::Names as _;
    for (host, expected) in [
        ("127.0.0.1", Some("127.0.0.1")),
        ("localhost", Some("127.0.0.1")),
        ("", Some("127.0.0.1")),
        ("10.0.255.100", Some("10.0.255.100")),
        ("cs1.example.edu", None),
        ("::1", None),
        ("127.0.0.01", None),
    ] {
        let host = Ipv4.base(host).map(|base| Ipv4.host(bully::Addr(base | 5)));
        assert_eq!(host.as_ref().map(AsRef::as_ref), expected);
    }
}
