//! The generated code is what `proto/` describes.

use std::path::Path;

const FILES: [&str; 3] = ["rpcpb.rs", "serverpb.rs", "storagepb.rs"];

/// Set to write the generated code instead of comparing it.
const UPDATE: &str = "UPDATE_GENERATED";

#[test]
fn generated_code_is_what_proto_describes() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let described = protox::compile(["rpcpb.proto"], [here.join("proto")]).unwrap();
    let made = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .out_dir(made.path())
        .compile_fds(described)
        .unwrap();
    for file in FILES {
        let new = std::fs::read_to_string(made.path().join(file)).unwrap();
        let kept = here.join("src/generated").join(file);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&kept, &new).unwrap();
        }
        let kept = std::fs::read_to_string(&kept).unwrap();
        assert!(
            kept == new,
            "{file} differs: run this test with {UPDATE}=1, and look at what changes"
        );
    }
}
