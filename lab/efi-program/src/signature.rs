//! Authenticode signatures: PKCS#7 over the hash of a program (RFC 2315, Microsoft's "Windows Authenticode Portable
//! Executable Signature Format").

use authenticode::{AttributeCertificate, AuthenticodeSignature};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode, SliceReader};
use ring::digest::{SHA256, SHA384, SHA512, digest};
use thiserror::Error;
use x509_cert::Certificate;

use crate::certificate::{common_name, has_signed, is_issued_by, rsa};

const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// Length of a chain of certificates.
const CHAIN: usize = 8;

/// Defect of a signature, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureProblem {
    #[error("malformed signature")]
    Malformed,
    #[error("unsupported signature algorithm")]
    Unsupported,
    #[error("the file was changed after it was signed")]
    FileChanged,
    #[error("the signature is not by the certificate that it names")]
    NotBySigner,
}

/// Signature of a program.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Common name of the signer's certificate.
    pub signer: String,
    /// Common name of the certificate's issuer.
    pub issuer: String,
    /// Defect; no firmware accepts such a signature.
    pub problem: Option<SignatureProblem>,
    /// Certificates of the signature, the signer's first.
    certificates: Vec<Certificate>,
}

impl Signature {
    /// Parses an entry of the certificate table of a program with this hash.
    pub(crate) fn read(entry: &AttributeCertificate<'_>, sha256: &[u8; 32]) -> Signature {
        let Some((signed, parsed)) = parse(entry) else {
            return Signature::malformed();
        };
        let Some(signer_info) = signed.signer_infos.0.as_slice().first() else {
            return Signature::malformed();
        };
        let mut certificates: Vec<Certificate> = signed
            .certificates
            .iter()
            .flat_map(|set| set.0.iter())
            .filter_map(|one| match one {
                CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
                CertificateChoices::Other(_) => None,
            })
            .collect();
        let signer = certificates
            .iter()
            .position(|one| is_named(one, signer_info));
        let Some(signer) = signer else {
            return Signature::malformed();
        };
        certificates.swap(0, signer);
        let Some(signer) = certificates.first() else {
            return Signature::malformed();
        };
        Signature {
            signer: common_name(&signer.tbs_certificate.subject),
            issuer: common_name(&signer.tbs_certificate.issuer),
            problem: check(&parsed, signer_info, signer, sha256).err(),
            certificates,
        }
    }

    fn malformed() -> Signature {
        Signature {
            signer: "unknown".into(),
            issuer: "unknown".into(),
            problem: Some(SignatureProblem::Malformed),
            certificates: Vec::new(),
        }
    }

    /// Returns the name of the trusted certificate that the signer's leads to; `None` without one, or if the signature
    /// has a defect.
    pub(crate) fn authority(&self, trusted: &[Certificate]) -> Option<String> {
        if self.problem.is_some() {
            return None;
        }
        let mut last = self.certificates.first()?;
        for _ in 0..CHAIN {
            if trusted.contains(last) {
                return Some(common_name(&last.tbs_certificate.subject));
            }
            if let Some(authority) = trusted.iter().find(|one| is_issued_by(last, one)) {
                return Some(common_name(&authority.tbs_certificate.subject));
            }
            let is_next = |one: &&Certificate| *one != last && is_issued_by(last, one);
            last = self.certificates.iter().find(is_next)?;
        }
        None
    }

    /// True if a certificate of the signature is among these.
    pub(crate) fn has_any(&self, certificates: &[Certificate]) -> bool {
        self.certificates
            .iter()
            .any(|one| certificates.contains(one))
    }
}

/// Parses the entry by hand for its certificates, and with `authenticode`, which checks its form.
fn parse(entry: &AttributeCertificate<'_>) -> Option<(SignedData, AuthenticodeSignature)> {
    let parsed = entry.get_authenticode_signature().ok()?;
    // Padding may follow.
    let mut reader = SliceReader::new(entry.data).ok()?;
    let content = ContentInfo::decode(&mut reader).ok()?;
    Some((content.content.decode_as().ok()?, parsed))
}

fn is_named(certificate: &Certificate, signer: &SignerInfo) -> bool {
    match &signer.sid {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            let certificate = &certificate.tbs_certificate;
            certificate.issuer == id.issuer && certificate.serial_number == id.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn check(
    parsed: &AuthenticodeSignature,
    info: &SignerInfo,
    signer: &Certificate,
    sha256: &[u8; 32],
) -> Result<(), SignatureProblem> {
    if parsed.digest() != sha256 {
        // Hashes of another length are of another algorithm.
        return Err(match parsed.digest().len() == sha256.len() {
            true => SignatureProblem::FileChanged,
            false => SignatureProblem::Unsupported,
        });
    }
    let algorithm = rsa(&info.digest_alg.oid).ok_or(SignatureProblem::Unsupported)?;
    let content = parsed
        .encapsulated_content()
        .ok_or(SignatureProblem::Malformed)?;
    let signed = match &info.signed_attrs {
        None => content.to_vec(),
        Some(attributes) => {
            let mut attributes_of_hash = attributes.iter().filter(|one| one.oid == MESSAGE_DIGEST);
            let hash = attributes_of_hash
                .next()
                .and_then(|one| one.values.as_slice().first())
                .and_then(|value| value.decode_as::<OctetString>().ok())
                .ok_or(SignatureProblem::Malformed)?;
            let hashes = [&SHA256, &SHA384, &SHA512].map(|kind| digest(kind, content));
            if !hashes.iter().any(|one| one.as_ref() == hash.as_bytes()) {
                return Err(SignatureProblem::NotBySigner);
            }
            attributes
                .to_der()
                .map_err(|_| SignatureProblem::Malformed)?
        }
    };
    match has_signed(signer, algorithm, &signed, parsed.signature()) {
        true => Ok(()),
        false => Err(SignatureProblem::NotBySigner),
    }
}
