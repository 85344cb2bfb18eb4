//! DHCP servers that are compared.

/// A server of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Dnsmasq,
    Kea,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Ours, Kind::Dnsmasq, Kind::Kea];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "boot-server",
            Kind::Dnsmasq => "dnsmasq",
            Kind::Kea => "kea-dhcp4",
        }
    }
}
