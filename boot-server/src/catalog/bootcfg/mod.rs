//! The data directory of bootcfg 0.1 and 0.2: `config.yaml`, `specs/<id>/spec.json`, `cloud/`,
//! `ignition/`.

pub mod groups_file;
pub mod spec;
