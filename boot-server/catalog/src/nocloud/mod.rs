//! cloud-init's NoCloud data source: seeds, the requests for their files, and what they are answered.
//!
//! cloud-init appends the name of a file to the seed URL of its kernel option, or puts it in the place of `%s`
//! (`ds=nocloud;s=http://HOST/nocloud/uuid=…/`; cloud-init 22.4.2 to 26.2: `DataSourceNoCloud.py`, `util.read_seeded`).
//! Every answer but 200 is asked for ten more times, a second apart, so that files without content are served empty.

#[cfg(test)]
mod check_tests;
mod meta_data;
mod request;
mod seed;
mod user_data;

pub use request::{InvalidSeedRequest, SeedRequest};
pub use seed::{Seed, SeedFile, SeedSource};
pub use user_data::{InvalidCloudInitData, UserDataKind};
