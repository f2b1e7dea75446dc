'use strict';

// The examples auth_approle and auth_userpass of node-vault.

const { assert, vault, another, refused, run } = require('./shared');

run(async () => {
  const role_name = 'test-role';
  await vault.enableAuth({ mount_point: 'approle', type: 'approle', description: 'Approle auth' });
  await vault.addApproleRole({ role_name, policies: 'dev-policy, test-policy' });
  const role = (await vault.getApproleRole({ role_name })).data;
  assert.deepEqual(role.policies, ['dev-policy', 'test-policy']);
  assert.deepEqual((await vault.approleRoles()).data.keys, [role_name]);
  const { role_id } = (await vault.getApproleRoleId({ role_name })).data;
  const { secret_id, secret_id_accessor } = (await vault.getApproleRoleSecret({ role_name })).data;
  const login = await another().approleLogin({ role_id, secret_id });
  assert.deepEqual(login.auth.policies, ['default', 'dev-policy', 'test-policy']);
  await vault.approleSecretLookup({ role_name, secret_id });
  await vault.approleSecretAccessorLookup({ role_name, secret_id_accessor });
  await vault.approleSecretDestroy({ role_name, secret_id });
  await refused(400, another().approleLogin({ role_id, secret_id }));
  await vault.deleteApproleRole({ role_name });

  const [username, password] = ['me', 'foo'];
  await vault.enableAuth({ mount_point: 'userpass', type: 'userpass', description: 'userpass auth' });
  await vault.write(`auth/userpass/users/${username}`, { password, policies: 'dev-policy' });
  const user = (await vault.read(`auth/userpass/users/${username}`)).data;
  assert.deepEqual(user.policies, ['dev-policy']);
  const person = another();
  const { auth } = await person.userpassLogin({ username, password });
  assert.deepEqual(auth.policies, ['default', 'dev-policy']);
  assert.equal((await person.tokenLookupSelf()).data.display_name, 'userpass-me');
  await refused(400, another().userpassLogin({ username, password: 'bar' }));
});
