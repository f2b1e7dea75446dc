'use strict';

// The examples health, status, help, secret_mounts and auth of node-vault.

const { assert, vault, refused, run } = require('./shared');

run(async () => {
  const health = await vault.health({ standbyok: true });
  assert.equal(health.initialized, true);
  assert.match(health.version, /^1\.\d+\.\d+$/);
  const status = await vault.status();
  assert.equal(status.sealed, false);
  assert.equal((await vault.initialized()).initialized, true);
  assert.equal((await vault.leader()).is_self, true);
  await refused(400, vault.init({ secret_shares: 1, secret_threshold: 1 }));

  for (const path of ['sys/policy', 'sys/mounts', 'db', 'db/roles/reader']) {
    const { help } = await vault.help(path);
    assert.match(help, /\S/, path);
  }

  // Entries stand beside `data`, where the examples look for them.
  const mounts = await vault.mounts();
  assert.equal(mounts['db/'].type, 'postgres');
  assert.deepEqual(mounts['db/'], mounts.data['db/']);
  await vault.mount({ mount_point: 'test', type: 'postgres', description: 'just a test' });
  await vault.remount({ from: 'test', to: 'test2' });
  assert.equal((await vault.mounts())['test2/'].description, 'just a test');
  await vault.unmount({ mount_point: 'test2' });
  assert.equal((await vault.mounts())['test2/'], undefined);

  assert.ok(Object.prototype.hasOwnProperty.call(await vault.auths(), 'token/'));
  await vault.enableAuth({ mount_point: 'people', type: 'userpass', description: 'staff' });
  assert.equal((await vault.auths())['people/'].description, 'staff');
  await vault.disableAuth({ mount_point: 'people' });
  assert.equal((await vault.auths())['people/'], undefined);
});
