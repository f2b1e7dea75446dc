'use strict';

// The examples policies and token of node-vault.

const { assert, vault, another, refused, run } = require('./shared');

// A client takes the token that it makes for its own, so that each is made by another.
const root = () => another(process.env.VAULT_TOKEN);

run(async () => {
  assert.deepEqual((await vault.policies()).policies.includes('default'), true);
  await vault.addPolicy({
    name: 'mypolicy',
    rules: '{ "path": { "db/creds/*": { "policy": "read" } } }',
  });
  assert.match((await vault.getPolicy({ name: 'mypolicy' })).rules, /db\/creds/);
  assert.ok((await vault.policies()).policies.includes('mypolicy'));

  const made = (await root().tokenCreate({ policies: ['mypolicy'], ttl: '1h' })).auth;
  const found = await vault.tokenLookup({ token: made.client_token });
  assert.deepEqual(found.data.policies, ['default', 'mypolicy']);
  const { data } = await vault.tokenLookupAccessor({ accessor: made.accessor });
  assert.equal(data.accessor, made.accessor);
  const app = another(made.client_token);
  assert.equal((await app.tokenLookupSelf()).data.accessor, made.accessor);
  assert.equal((await app.tokenRenewSelf({ increment: '2h' })).auth.lease_duration, 7200);
  await refused(403, app.mounts());
  await app.tokenRevokeSelf();
  await refused(403, app.tokenLookupSelf());

  await vault.addTokenRole({ role_name: 'apps', allowed_policies: 'mypolicy', period: 3600 });
  assert.deepEqual((await vault.tokenRoles()).data.keys, ['apps']);
  assert.equal((await vault.getTokenRole({ role_name: 'apps' })).data.token_period, 3600);
  const of_role = (await root().tokenCreateRole({ role_name: 'apps' })).auth;
  assert.ok(of_role.policies.includes('mypolicy'));
  await vault.tokenRevokeAccessor({ accessor: of_role.accessor });
  await vault.removeTokenRole({ role_name: 'apps' });
  const orphan = (await root().tokenCreateOrphan({ policies: ['mypolicy'] })).auth;
  assert.equal(orphan.orphan, true);
  assert.ok((await vault.tokenAccessors()).data.keys.includes(orphan.accessor));
  await vault.tokenRevokeOrphan({ token: orphan.client_token });
  await vault.removePolicy({ name: 'mypolicy' });
});
