//! The PostgreSQL provider: a role that is leased, used, renewed, revoked, one
//! that expires, and a root password that nobody knows any more.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cluster::{Cluster, keep, password};
use crate::say;
use crate::stage::{Claim, Stage, Step};

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        story: "A mount that was granted nothing reaches nothing.",
        command: "lessor mount add ungranted --plugin postgres",
        claim: Claim::Prints(&["mounted at ungranted"]),
    },
    Step {
        story: "The sentence says what to grant; nothing was dialled. (With --dev, and only there, what a\n\
                config names on loopback is granted by itself.)",
        command: "lessor config write ungranted host=192.0.2.1 username=lessor password=@root-password",
        claim: Claim::Fails("tcp://192.0.2.1:5432"),
    },
    Step {
        story: "So it goes away again,",
        command: "lessor mount remove ungranted",
        claim: Claim::Prints(&["removed"]),
    },
    Step {
        story: "and this one is granted the one address that it needs.",
        command: "lessor mount add database --plugin postgres --allow-host tcp://$PGHOST:$PGPORT",
        claim: Claim::Prints(&["mounted at database"]),
    },
    Step {
        story: "The config is proven against the server before it is kept.",
        command: "lessor config write database host=$PGHOST port=$PGPORT database=$PGDATABASE username=lessor password=@root-password sslmode=disable",
        claim: Claim::Prints(&["config of database is proven and kept"]),
    },
    Step {
        story: "Nobody is shown the password again.",
        command: "lessor config show database",
        claim: Claim::Prints(&["<redacted>"]),
    },
    Step {
        story: "A role: whoever leases it may read what the group `readers` may, for an hour.",
        command: "lessor role write database reader member_of='[\"readers\"]' default_ttl=1h max_ttl=24h",
        claim: Claim::Prints(&["role reader"]),
    },
    Step {
        story: "A login is leased: a PostgreSQL role that did not exist before.",
        command: LEASE,
        claim: Claim::Prints(&["password is in password"]),
    },
    Step {
        story: "psql logs in with it and reads,",
        command: "PGPASSWORD=$(cat password) psql -XwU $(cat username) -c 'SELECT * FROM orders'",
        claim: Claim::Prints(&["butter", "(3 rows)"]),
    },
    Step {
        story: "and may do nothing else.",
        command: "PGPASSWORD=$(cat password) psql -XwU $(cat username) -c 'DELETE FROM orders'",
        claim: Claim::Fails("permission denied"),
    },
    Step {
        story: "The lease, as lessor knows it.",
        command: "lessor lease lookup $(cat lease)",
        claim: Claim::Prints(&["expire_time"]),
    },
    BEFORE_RENEWAL,
    Step {
        story: "It is renewed,",
        command: "lessor lease renew $(cat lease) --increment 8h",
        claim: Claim::Prints(&["lease_duration"]),
    },
    AFTER_RENEWAL,
    Step {
        story: "It is revoked,",
        command: "lessor lease revoke $(cat lease)",
        claim: Claim::Prints(&["is revoked"]),
    },
    Step {
        story: "and psql is refused from now on.",
        command: "PGPASSWORD=$(cat password) psql -XwU $(cat username) -c 'SELECT * FROM orders'",
        claim: Claim::Fails("authentication failed"),
    },
    Step {
        story: "A lease of three seconds,",
        command: "lessor creds database reader --ttl 3s --save username=username --save password=password --save lease_id=lease",
        claim: Claim::Prints(&["password is in password"]),
    },
    Step {
        story: "whose role exists,",
        command: "psql -XAtwU postgres -c \"SELECT count(*) FROM pg_roles WHERE rolname = '$(cat username)'\"",
        claim: Claim::Answers("1"),
    },
    Step {
        story: "ends without anybody's doing: the role is gone.",
        command: "psql -XAtwU postgres -c \"SELECT count(*) FROM pg_roles WHERE rolname = '$(cat username)'\"",
        claim: Claim::Becomes("0", Duration::from_secs(20)),
    },
    Step {
        story: "Today the root password is one that a person has seen, and it works.",
        command: ROOT_LOGIN,
        claim: Claim::Answers("lessor"),
    },
    Step {
        story: "It is replaced by one that no person has seen.",
        command: "lessor rotate database",
        claim: Claim::Prints(&["root credential of database is replaced"]),
    },
    Step {
        story: "The old one no longer works,",
        command: ROOT_LOGIN,
        claim: Claim::Fails("authentication failed"),
    },
    Step {
        story: "the new one does: lessor leases with it,",
        command: LEASE,
        claim: Claim::Prints(&["password is in password"]),
    },
    Step {
        story: "and what it leases logs in.",
        command: "PGPASSWORD=$(cat password) psql -XAtwU $(cat username) -c 'SELECT count(*) FROM orders'",
        claim: Claim::Answers("3"),
    },
    Step {
        story: "Everything that was ever leased here is ended at once,",
        command: "lessor lease revoke --prefix database",
        claim: Claim::Prints(&["every lease below database is revoked"]),
    },
    Step {
        story: "and the server has no leased role left.",
        command: "psql -XAtwU postgres -c \"SELECT count(*) FROM pg_auth_members WHERE roleid = 'readers'::regrole AND member <> 'lessor'::regrole\"",
        claim: Claim::Answers("0"),
    },
];

const LEASE: &str = "lessor creds database reader --save username=username --save password=password --save lease_id=lease";

const ROOT_LOGIN: &str =
    "PGPASSWORD=$(cat root-password) psql -XAtwU lessor -c 'SELECT current_user'";

const VALID_UNTIL: &str = "psql -XAtwU postgres -c \"SELECT rolvaliduntil FROM pg_roles WHERE rolname = '$(cat username)'\"";

const BEFORE_RENEWAL: Step = Step {
    story: "PostgreSQL itself knows the role's end,",
    command: VALID_UNTIL,
    claim: Claim::Prints(&["20"]),
};

const AFTER_RENEWAL: Step = Step {
    story: "and PostgreSQL knows the later end.",
    command: VALID_UNTIL,
    claim: Claim::Prints(&["20"]),
};

/// Plays the PostgreSQL part.
pub(super) fn tell(stage: &mut Stage) -> Result<()> {
    let mut end_before: Option<String> = None;
    for step in STEPS {
        let printed = stage.step(step)?;
        if step.command == VALID_UNTIL {
            if let Some(before) = &end_before {
                // In one time zone, so the text orders as time does.
                stage.claim(&printed > before, "the end has moved")?;
            }
            end_before = Some(printed);
        }
    }
    Ok(())
}

/// Starts a server as an operator of a database would have it: with a table, a group that may
/// read it, and a role for lessor that may create roles and nothing else.
pub(super) fn server(programs: &Path, stage: &mut Stage) -> Result<Cluster> {
    say::line("A PostgreSQL server of its own is started, with a table of orders to read.");
    let cluster = Cluster::start(programs, &mut stage.scratch, &[])?;
    let root = password()?;
    keep(
        &stage.scratch.directory().join("root-password"),
        &format!("{root}\n"),
    )?;
    let sql = format!(
        "CREATE TABLE orders (id int PRIMARY KEY, item text);
         INSERT INTO orders VALUES (1, 'bread'), (2, 'butter'), (3, 'salt');
         CREATE ROLE readers;
         GRANT SELECT ON orders TO readers;
         CREATE ROLE lessor LOGIN CREATEROLE PASSWORD '{root}';
         GRANT readers TO lessor WITH ADMIN OPTION;"
    );
    cluster.sql(&stage.scratch, &sql)?;
    say::line(
        "The role `lessor` may create roles and hand out membership in `readers`; its password\n\
         is in the file root-password. psql finds the server by PGHOST, PGPORT and PGDATABASE.",
    );
    Ok(cluster)
}
