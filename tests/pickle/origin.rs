use bully::{Member, Origin, Pid, Reply, Request, Roster};
use bully_host::names::Names;
use bully_host::pickle::message::{self, Keyed};
use bully_host::pickle::writer::{self, Forms, OkForm, ProbeForm, READ_ONCE_MAX};
use bully_host::pickle::{Limits, Reader};

use super::python::{hex, pickles, unhex};

const ORIGIN: Origin = Origin {
    pid: Pid {
        days: 120,
        id: 1_234_567,
    },
    large: true,
    leads: false,
};

/// Every message that carries it, in each form: name, bytes with it, bytes without.
fn messages(members: &[Member]) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let names = Names::new();
    let mut all = Vec::new();
    for keyed in [Keyed::Address, Keyed::Pid] {
        for (ok, probe) in [
            (OkForm::Text, ProbeForm::None),
            (OkForm::Pair, ProbeForm::None),
            (OkForm::Members, ProbeForm::Members),
        ] {
            let forms = Forms {
                ok: Some(ok),
                probe: Some(probe),
                keyed,
            };
            let list = Roster::new(members).expect("they ascend");
            let both = |write: &dyn Fn(&mut Vec<u8>, Roster<'_>)| {
                [Some(ORIGIN), None].map(|origin| {
                    let mut out = Vec::new();
                    write(&mut out, list.with_origin(origin));
                    out
                })
            };
            let request = |name| {
                both(&|out, list| {
                    let request = match name {
                        "ELECTION" => Request::Election(list),
                        "COORDINATOR" => Request::Coordinator(list),
                        _ => Request::Probe(list),
                    };
                    writer::request(out, &request, &forms, &names);
                })
            };
            for (name, [with, without]) in [
                ("ELECTION", request("ELECTION")),
                ("COORDINATOR", request("COORDINATOR")),
                ("PROBE", request("PROBE")),
                (
                    "OK",
                    both(&|out, list| {
                        writer::reply(out, &Reply::Ok(list), &forms, &names, None);
                    }),
                ),
            ] {
                let name = format!("{name} of {} {keyed:?} {ok:?}", members.len());
                all.push((name, with, without));
            }
        }
    }
    all
}

fn group(count: u32) -> Vec<Member> {
    let mut names = Names::new();
    let member = |n| Member {
        pid: Pid {
            days: 300,
            id: 7_000_000 + n,
        },
        addr: names
            .addr("127.0.0.1", 40_000 + n as u16)
            .expect("it needs no slot"),
    };
    (0..count).map(member).collect()
}

fn after(bytes: &[u8]) -> Option<Origin> {
    message::origin(bytes, &mut Reader::new(Limits::default()))
}

#[test]
fn programs_that_read_1024_bytes_once_see_no_difference() {
    let (mut input, mut expected) = (String::new(), String::new());
    let mut left_out = 0;
    for count in [0, 1, 5, 32, 61, 62, 63, 64, 65] {
        for (name, with, without) in messages(&group(count)) {
            assert!(with.starts_with(&without), "{name}");
            let trailer = &with[without.len()..];
            if trailer.is_empty() {
                assert!(without.len() + 30 > READ_ONCE_MAX, "{name}");
                left_out += 1;
            } else {
                assert!(with.len() <= READ_ONCE_MAX, "{name}");
                assert_eq!(after(trailer), Some(ORIGIN), "{name}");
            }
            input += &(hex(&with) + "\n");
            expected += &(hex(&without) + "\n");
        }
    }
    assert!(left_out > 0, "some are too long for it");
    assert_eq!(pickles("recv", input), pickles("recv", expected));
}

#[test]
fn python_loads_it_after_the_message() {
    let (_, with, without) = messages(&group(3)).swap_remove(0);
    let input = hex(&with[without.len()..]) + "\n";
    assert_eq!(pickles("load", input), ["('BULLY', 1, 120, 1234567, 1)\t"]);
}

#[test]
fn it_is_read_in_every_protocol() {
    let lines = pickles("origins", String::new());
    assert!(lines.len() >= 40, "only {}", lines.len());
    for line in lines {
        let (flags, bytes) = line.split_once('\t').expect("two fields");
        let expected = Origin {
            large: ["1", "3"].contains(&flags),
            leads: ["2", "3"].contains(&flags),
            ..ORIGIN
        };
        assert_eq!(after(&unhex(bytes)), Some(expected), "{line}");
    }
}

#[test]
fn whatever_else_follows_a_message_is_ignored() {
    let (_, with, without) = messages(&group(3)).swap_remove(0);
    let trailer = &with[without.len()..];
    let replaced = |from: &[u8], to: &[u8]| {
        let at = trailer.windows(from.len()).position(|part| part == from);
        let at = at.expect("it is in it");
        [&trailer[..at], to, &trailer[at + from.len()..]].concat()
    };
    assert_eq!(after(trailer), Some(ORIGIN));
    for end in 0..trailer.len() {
        assert_eq!(after(&trailer[..end]), None, "cut off after {end} bytes");
    }
    for (what, bytes) in [
        ("another message", b"\x80\x04\x8c\x05NEVER.".to_vec()),
        ("another name", replaced(b"BULLY", b"BOLLY")),
        ("a later version", replaced(b"K\x01", b"K\x02")),
        ("an item more", replaced(b"t.", b"Nt.")),
        ("an item less", replaced(b"K\x01t.", b"t.")),
        ("flags that nobody knows", replaced(b"K\x01t.", b"K\x04t.")),
        ("days below zero", replaced(b"Kx", b"J\xff\xff\xff\xff")),
        ("a text for days", replaced(b"Kx", b"X\x01\0\0\0x")),
        ("bytes that are no pickle", b"HTTP/1.1 200 OK".to_vec()),
        ("a class", b"c__main__\nBULLY\n.".to_vec()),
        ("what begins too late", [&b"N0"[..], trailer].concat()),
        (
            "what ends too late",
            replaced(b"X\x05", &b"\x80\x02".repeat(40)),
        ),
    ] {
        assert_eq!(after(&bytes), None, "{what}");
    }
    let followed = [trailer, &b"anything"[..]].concat();
    assert_eq!(after(&followed), Some(ORIGIN), "and what follows it, too");
}
