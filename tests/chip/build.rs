//! The target decides the board: its memory map goes where the linker looks for it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let target = env::var("TARGET").expect("cargo sets it");
    let board = match target.as_str() {
        "thumbv6m-none-eabi" => {
            println!("cargo::rustc-cfg=microbit");
            "microbit"
        }
        // The second for its size alone: the board has no Cortex-M4.
        "thumbv7m-none-eabi" | "thumbv7em-none-eabi" => "lm3s6965",
        other => panic!("no board for {other}: thumbv7m-none-eabi and thumbv6m-none-eabi have one"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let map = format!("src/{board}.x");
    fs::copy(&map, out.join("memory.x")).expect("src holds a memory map for each board");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed={map}");
}
