//! Ethernet addresses that network cards can have.

use boot_server_proto::mac::MacAddr;

/// Reason why a text is not a address of a network card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// The text is none of `52:54:00:a1:9c:ae`, `52-54-00-a1-9c-ae` and `5254.00a1.9cae`.
    #[error("invalid MAC address: `{0}`")]
    Notation(String),
    /// All octets are zero.
    #[error("invalid MAC address: all zeros")]
    Zero,
    /// The group bit is set (IEEE 802, least significant bit of the first octet).
    #[error("invalid MAC address: `{0}` (multicast)")]
    Multicast(MacAddr),
}

/// Parses the address of a network card: unicast, and not all zeros.
///
/// # Errors
/// [`MacError`].
pub fn card_mac(text: &str) -> Result<MacAddr, MacError> {
    let mac: MacAddr = text
        .parse()
        .map_err(|_| MacError::Notation(text.to_owned()))?;
    if mac == MacAddr([0; 6]) {
        Err(MacError::Zero)
    } else if mac.is_multicast() {
        Err(MacError::Multicast(mac))
    } else {
        Ok(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_mac_is_read_in_every_common_notation() {
        let expected = Ok(MacAddr([0x52, 0x54, 0, 0xa1, 0x9c, 0xae]));
        for text in ["52:54:00:A1:9C:AE", "52-54-00-a1-9c-ae", "5254.00a1.9cae"] {
            assert_eq!(card_mac(text), expected, "{text}");
        }
    }

    #[test]
    fn card_mac_that_is_no_address_is_refused() {
        for text in [
            "",
            "525400a19cae",
            "52:54:00:a1:9c:ae:00",
            "é2:54:00:a1:9c:ae",
        ] {
            assert_eq!(
                card_mac(text),
                Err(MacError::Notation(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn card_mac_that_no_card_can_have_is_refused() {
        assert_eq!(card_mac("00:00:00:00:00:00"), Err(MacError::Zero));
        let group = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        assert_eq!(
            card_mac("01:00:5e:00:00:01"),
            Err(MacError::Multicast(group))
        );
    }
}
