//! The certificate provider: an authority whose key never leaves lessor, a
//! certificate that openssl accepts, and one that is revoked.

use anyhow::Result;

use super::available;
use crate::stage::{Claim, Stage, Step};

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        story: "A mount puts a provider at a path. This one needs no network, and is granted none.",
        command: "lessor mount add pki --plugin certificate",
        claim: Claim::Prints(&["mounted at pki"]),
    },
    Step {
        story: "Its config names a certificate authority, and where its revocation list will be.",
        command: "lessor config write pki common_name='Example CA' base_url=$LESSOR_ADDR/v1/pki",
        claim: Claim::Prints(&["config of pki"]),
    },
    Step {
        story: "The first rotation makes the authority: its key is born inside and shown to nobody.",
        command: "lessor rotate pki",
        claim: Claim::Prints(&["root credential of pki is replaced"]),
    },
    Step {
        story: "A role says what may be had.",
        command: "lessor role write pki web allowed_dns='[\"*.example.com\"]' default_ttl=1h max_ttl=24h",
        claim: Claim::Prints(&["role web"]),
    },
    Step {
        story: "A certificate is leased. The key goes into a file that only you can read.",
        command: "lessor creds pki web common_name=www.example.com --save certificate=web.pem \
                  --save private_key=web.key --save issuing_ca=ca.pem --save lease_id=web.lease",
        claim: Claim::Prints(&["private_key is in web.key", "serial_number"]),
    },
    Step {
        story: "openssl accepts it.",
        command: "openssl verify -CAfile ca.pem web.pem",
        claim: Claim::Prints(&["web.pem: OK"]),
    },
    Step {
        story: "The key fits, and the certificate says what was asked for.",
        command: "openssl x509 -in web.pem -noout -subject -issuer -enddate -ext subjectAltName && \
                  openssl pkey -in web.key -pubout -out key.pub && \
                  openssl x509 -in web.pem -noout -pubkey | cmp - key.pub",
        claim: Claim::Prints(&["www.example.com", "Example CA"]),
    },
    Step {
        story: "What the role does not allow is refused, and nothing is made.",
        command: "lessor creds pki web common_name=www.example.org",
        claim: Claim::Fails("www.example.org"),
    },
    Step {
        story: "Who asks for revoked certificates too, by the list that the certificate names, is\n\
                satisfied as well.",
        command: "openssl verify -crl_check -crl_download -CAfile ca.pem web.pem",
        claim: Claim::Prints(&["web.pem: OK"]),
    },
    Step {
        story: "The lease is ended before its time.",
        command: "lessor lease revoke $(cat web.lease)",
        claim: Claim::Prints(&["is revoked"]),
    },
    Step {
        story: "From now on the list names the certificate.",
        command: "openssl verify -crl_check -crl_download -CAfile ca.pem web.pem",
        claim: Claim::Fails("certificate revoked"),
    },
    Step {
        story: "The authority is replaced by a new one, certified by the one before.",
        command: "lessor rotate pki",
        claim: Claim::Prints(&["root credential of pki is replaced"]),
    },
    Step {
        story: "What the new one issues,",
        command: "lessor creds pki web common_name=www.example.com --save certificate=web2.pem \
                  --save private_key=web2.key --save issuing_ca=ca2.pem --save ca_chain=chain.pem",
        claim: Claim::Prints(&["private_key is in web2.key"]),
    },
    Step {
        story: "is accepted by those who trust the new authority,",
        command: "openssl verify -CAfile ca2.pem web2.pem",
        claim: Claim::Prints(&["web2.pem: OK"]),
    },
    Step {
        story: "and, by the chain that comes with it, by those who know only the former one.",
        command: "openssl verify -CAfile ca.pem -untrusted chain.pem web2.pem",
        claim: Claim::Prints(&["web2.pem: OK"]),
    },
];

/// Plays the certificate part; without openssl, all but its proofs.
pub(super) fn tell(stage: &mut Stage) -> Result<()> {
    let openssl = available(
        "openssl",
        "that openssl accepts and rejects the certificates",
    );
    for step in STEPS {
        if openssl || !step.command.starts_with("openssl") {
            stage.step(step)?;
        }
    }
    Ok(())
}
