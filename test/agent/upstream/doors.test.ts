import assert from 'node:assert/strict';
import test from 'node:test';
import { type Door, ghcrDoor, googleDoor, hubDoor, identityDoor } from '../../support/upstream-doors.ts';
import { authOf } from './credentials/fixture.ts';

/** What stands in for a registry must refuse what the real one refuses, or no test of the agent's could fail by it. */

const hub = { door: hubDoor({ username: 'me', password: 'pw' }), user: 'me', secret: 'pw', account: 'me' };
const github = { door: ghcrDoor({ username: 'me', password: 'ghp_pat' }), user: 'me', secret: 'ghp_pat' };
const google = {
  door: googleDoor({ username: 'oauth2accesstoken', password: 'ya29.now' }),
  user: 'oauth2accesstoken',
  secret: 'ya29.now',
};

interface Asked {
  readonly door: Door;
  readonly user?: string;
  readonly secret?: string;
  readonly account?: string;
  readonly service?: string;
  readonly scope?: string | readonly string[];
  readonly method?: string;
}

function enter({ door, user, secret, account, method = 'GET', ...given }: Asked) {
  const query = new URLSearchParams({ service: given.service ?? door.service });
  for (const scope of [given.scope ?? 'repository:group/app:pull'].flat()) query.append('scope', scope);
  if (account !== undefined) query.set('account', account);
  const authorization = user === undefined ? undefined : `Basic ${authOf(user, secret ?? '')}`;
  return door.enter({ method, query, form: new URLSearchParams(), authorization });
}

for (const [name, right] of Object.entries({ hub, github, google })) {
  test(`${name}: service and scope have to be right, for one repository and to pull`, () => {
    assert.equal(enter(right), right.user);
    const { door } = right;
    for (const wrong of [
      { service: 'test' },
      { service: '' },
      { scope: [] },
      { scope: '' },
      { scope: 'repository:group/app:push,pull' },
      { scope: 'repository:group/app:pull repository:group/other:pull' },
      { scope: ['repository:group/app:pull', 'repository:group/other:pull'] },
      { method: 'POST' },
    ]) {
      assert.equal(enter({ ...right, ...wrong }), 400, JSON.stringify(wrong));
      assert.equal(enter({ door, ...wrong }), 400, JSON.stringify(wrong));
    }
  });
}

test('anonymous tokens are for what is public', () => {
  const scope = 'repository:library/app:pull';
  for (const { door } of [github, google]) {
    assert.equal(enter({ door, scope }), null);
    assert.equal(enter({ door }), 401);
  }
});

test('a secret of another shape, of another user or wrong does not open', () => {
  assert.equal(enter({ ...github, secret: 'ghp_old' }), 403);
  const password = 'a password';
  assert.equal(enter({ door: ghcrDoor({ username: 'me', password }), user: 'me', secret: password }), 403);
  assert.equal(enter({ ...google, secret: 'ya29.old' }), 401);
  assert.equal(enter({ ...google, user: '_json_key' }), 401);
  for (const username of ['oauth2accesstoken', '_json_key', '_json_key_base64', 'me']) {
    assert.equal(enter({ door: googleDoor({ username, password }), user: username, secret: password }), 401);
  }
});

test('an identity token is shown by POST alone, with every field', () => {
  const door = identityDoor('refresh');
  const whole = {
    service: door.service,
    scope: 'repository:group/app:pull',
    client_id: 'us',
    grant_type: 'refresh_token',
    refresh_token: 'refresh',
  };
  const post = (form: Record<string, string>) => {
    const query = new URLSearchParams();
    return door.enter({ method: 'POST', query, form: new URLSearchParams(form), authorization: undefined });
  };
  assert.equal(post(whole), 'identity');
  for (const field of Object.keys(whole))
    assert.equal(post({ ...whole, [field]: 'other' }), field === 'client_id' ? 'identity' : 400);
  for (const field of Object.keys(whole)) assert.equal(post({ ...whole, [field]: '' }), 400);
});
