//! Writes the C bindings of the contract into a folder, as `wit-bindgen c` does.
//!
//! A program of ten lines and not the command of that name: it is built in half a minute instead of
//! ten, and its version stands in a manifest.

use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(contract), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: generate-c-bindings CONTRACT FOLDER".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(contract)?;
    let world = resolve.select_world(&[package], None)?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    for (name, contents) in files.iter() {
        std::fs::write(Path::new(&folder).join(name), contents)?;
    }
    Ok(())
}
