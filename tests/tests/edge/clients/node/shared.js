'use strict';

// What the scripts share: a client by VAULT_ADDR and VAULT_TOKEN, as node-vault reads
// them, and the refusal that a call must meet.

const assert = require('assert');
const nodeVault = require('node-vault');

const vault = nodeVault();

/** A client of the same server with another token, or with none. */
const another = (token) => nodeVault({ token });

/** The refusal of a call, which must have this status. */
async function refused(status, call) {
  const error = await call.then(
    (answer) => assert.fail(`no refusal, but ${JSON.stringify(answer)}`),
    (refusal) => refusal,
  );
  assert.equal(error.response && error.response.statusCode, status, error.stack);
  return error.message;
}

/** Runs a script; whatever it rejects with ends the process badly. */
function run(script) {
  script().catch((error) => {
    console.error(error.stack, error.response && JSON.stringify(error.response.body));
    process.exitCode = 1;
  });
}

module.exports = { assert, vault, another, refused, run };
