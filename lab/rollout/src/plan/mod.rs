//! What each machine of an inventory would get.
