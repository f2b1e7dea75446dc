'use strict';

// The example leases of node-vault, over credentials of the mount `db`, and wrapping.

const { assert, vault, another, refused, run } = require('./shared');

run(async () => {
  const lease = await vault.read('db/creds/reader');
  assert.ok(lease.renewable && lease.data.username && lease.data.password);
  const { lease_id } = lease;
  const renewed = await vault.renew({ lease_id, increment: 1800 });
  assert.equal(renewed.lease_duration, 1800);
  await vault.revoke({ lease_id });
  await refused(400, vault.renew({ lease_id, increment: 1800 }));
  const other = await vault.generateDatabaseCredentials({ databasePath: 'db', name: 'reader' });
  assert.ok(other.data.password);
  await vault.revokePrefix({ path_prefix: 'db/creds/reader' });

  // Wrapped by the header, opened by the wrapping token in the body, once.
  const headers = { 'X-Vault-Wrap-TTL': '60s' };
  const wrapped = await vault.write('sys/wrapping/wrap', { a: 'b' }, { headers });
  const { token } = wrapped.wrap_info;
  assert.equal((await another(token).read('sys/wrapping/lookup')).data.creation_ttl, 60);
  assert.deepEqual((await vault.unwrap({ token })).data, { a: 'b' });
  await refused(400, vault.unwrap({ token }));
});
