// The tests' own door beside the provider: look at counts, plan faults, do what a user would do.
// Tokens go in and out here and are written nowhere.

import { checkFault, readBody } from './tokens.mjs';

const MAX_FAULTS = 10_000;
const MAX_GRANTS = 100_000;
const MAX_CONTROL_BODY = 8 * 1024 * 1024;

class Refused extends Error {}

function originOf(memory, { refresh_token, access_token, grant_id }) {
  if (grant_id) return grant_id;
  const token = refresh_token ?? access_token;
  if (!token) throw new Refused('wants refresh_token, access_token or grant_id');
  const origin = memory.grantOfToken.get(token);
  if (!origin) throw new Refused('no such token was ever made here');
  return origin.grantId;
}

// Grants in bulk, by the provider's own models: for tests where the consent is not the matter.
async function issue(provider, { account = 'bulk', client_id, scope = 'openid offline_access' }) {
  const client = await provider.Client.find(client_id);
  if (!client) throw new Refused('no such client');
  const grant = new provider.Grant({ accountId: account, clientId: client_id });
  grant.addOIDCScope(scope);
  const common = {
    accountId: account, client, grantId: await grant.save(), gty: 'authorization_code', scope,
  };
  const access = new provider.AccessToken(common);
  const refresh = new provider.RefreshToken({
    ...common, authTime: Math.floor(Date.now() / 1000), expiresWithSession: false, rotations: 0,
  });
  return {
    access_token: await access.save(),
    expires_in: access.expiration,
    refresh_token: await refresh.save(),
    scope,
    token_type: 'Bearer',
    grant_id: common.grantId,
    account,
  };
}

export class Control {
  constructor({ provider, memory, desk, defaultClient }) {
    Object.assign(this, { provider, memory, desk, defaultClient });
    this.routes = {
      'GET /health': () => ({ ok: true }),
      'GET /stats': () => desk.stats(),
      'DELETE /stats': () => { desk.clear(); return { ok: true }; },
      'GET /secrets': () => ({ tokens: memory.everyToken() }),
      'GET /faults': () => ({ faults: desk.faults }),
      'POST /faults': (body) => this.addFaults(body),
      'DELETE /faults': () => ({ dropped: desk.faults.splice(0).length }),
      'POST /revoke': (body) => this.revoke(body),
      'POST /lookup': (body) => this.lookup(body),
      'POST /grants': (body) => this.grants(body),
    };
  }

  addFaults(body) {
    const list = Array.isArray(body) ? body : body.faults;
    if (!Array.isArray(list)) throw new Refused('wants a list of faults');
    if (this.desk.faults.length + list.length > MAX_FAULTS) throw new Refused('too many faults');
    this.desk.faults.push(...list.map(checkFault));
    return { waiting: this.desk.faults.length };
  }

  revoke(body) {
    const grantId = originOf(this.memory, body);
    return { revoked: this.memory.revoke(grantId), grant_id: grantId };
  }

  lookup(body) {
    const grantId = originOf(this.memory, body);
    return {
      grant_id: grantId,
      account: this.memory.accountOfGrant.get(grantId) ?? null,
      grant_alive: this.memory.rows.has(`Grant:${grantId}`),
      current: this.memory.isCurrent(body.refresh_token ?? body.access_token),
      stats: this.desk.grant(grantId),
    };
  }

  async grants({ count = 1, account = 'bulk', client_id = this.defaultClient, ...rest }) {
    if (!Number.isInteger(count) || count < 1 || count > MAX_GRANTS) throw new Refused('bad count');
    const grants = [];
    for (let i = 0; i < count; i += 1) {
      const name = count === 1 ? account : `${account}-${i}`;
      grants.push(await issue(this.provider, { ...rest, client_id, account: name }));
    }
    return { grants };
  }

  async handle(req, res) {
    let status = 200;
    let answer;
    try {
      const route = this.routes[`${req.method} ${req.url.slice('/_control'.length)}`];
      const text = await readBody(req, MAX_CONTROL_BODY);
      if (!route) {
        status = 404;
        answer = { error: 'no such control', known: Object.keys(this.routes) };
      } else {
        answer = await route(text ? JSON.parse(text) : {});
      }
    } catch (error) {
      status = 400;
      // A parser's message could quote what was sent.
      answer = { error: error instanceof SyntaxError ? 'body is not JSON' : error.message };
    }
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(answer));
  }
}
