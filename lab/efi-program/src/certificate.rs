//! X.509 certificates: names, and who signed whom. Times are ignored, as EDK2 and shim ignore them.

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaParameters, UnparsedPublicKey,
};
use x509_cert::Certificate;
use x509_cert::name::Name;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");

/// Returns the RSA signature algorithm of a hash, or of a certificate's signature; no other is supported.
pub(crate) fn rsa(algorithm: &ObjectIdentifier) -> Option<&'static RsaParameters> {
    match *algorithm {
        SHA256 | RSA_WITH_SHA256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        SHA384 | RSA_WITH_SHA384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        SHA512 | RSA_WITH_SHA512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        _ => None,
    }
}

/// True if the owner of the certificate signed these bytes.
pub(crate) fn has_signed(
    signer: &Certificate,
    algorithm: &'static RsaParameters,
    data: &[u8],
    signature: &[u8],
) -> bool {
    let info = &signer.tbs_certificate.subject_public_key_info;
    let key = UnparsedPublicKey::new(algorithm, info.subject_public_key.raw_bytes());
    key.verify(data, signature).is_ok()
}

/// True if the owner of `issuer` signed `certificate`.
pub(crate) fn is_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    if certificate.tbs_certificate.issuer != issuer.tbs_certificate.subject {
        return false;
    }
    let algorithm = rsa(&certificate.signature_algorithm.oid);
    let (Some(algorithm), Ok(data)) = (algorithm, certificate.tbs_certificate.to_der()) else {
        return false;
    };
    has_signed(issuer, algorithm, &data, certificate.signature.raw_bytes())
}

/// Returns the common name, or the whole name if it has none.
pub(crate) fn common_name(name: &Name) -> String {
    let mut parts = name.0.iter().flat_map(|part| part.0.iter());
    let common = parts.find(|part| part.oid == COMMON_NAME);
    let text = match common {
        Some(part) => String::from_utf8_lossy(part.value.value()).into_owned(),
        None => name.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Parses the certificates of a database.
pub(crate) fn parse<'d>(ders: impl Iterator<Item = &'d [u8]>) -> Vec<Certificate> {
    ders.filter_map(|der| Certificate::from_der(der).ok())
        .collect()
}
