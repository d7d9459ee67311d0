// The way of a token request: counted, spoiled by a fault where one is due, given to the provider.

import { setTimeout as sleep } from 'node:timers/promises';

const MAX_BODY = 64 * 1024;
const MAX_DELAY_MS = 600_000;

// `before`: the provider never sees the request. `after`: it has done its work, the reply suffers.
const KINDS = {
  delay: { wants: ['ms'] },
  delay_after: { wants: ['ms'] },
  status: { wants: ['status'] },
  status_after: { wants: ['status'] },
  drop_before: { wants: [] },
  drop_after: { wants: [] },
};

export function checkFault(fault) {
  const kind = KINDS[fault?.kind];
  if (!kind) throw new Error(`fault kind is one of ${Object.keys(KINDS).join(', ')}`);
  for (const key of kind.wants) {
    if (!Number.isInteger(fault[key])) throw new Error(`${fault.kind} wants an integer ${key}`);
  }
  if (fault.ms > MAX_DELAY_MS) throw new Error(`ms is ${MAX_DELAY_MS} at most`);
  return fault;
}

export async function readBody(req, limit = MAX_BODY) {
  const chunks = [];
  let length = 0;
  for await (const chunk of req) {
    length += chunk.length;
    if (length > limit) throw new Error('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function reply(res, fault) {
  if (res.destroyed) return;
  res.writeHead(fault.status, fault.headers ?? {});
  res.end(fault.body ?? '');
}

function drop(req, fault) {
  if (fault.reset && req.socket.resetAndDestroy) req.socket.resetAndDestroy();
  else req.socket.destroy();
}

export class TokenDesk {
  constructor(memory, callback) {
    this.memory = memory;
    this.callback = callback;
    this.faults = [];
    this.verdicts = new WeakMap(); // request -> why the provider refused
    this.seen = new Set(); // refresh tokens that the provider was given
    this.clear();
  }

  clear() {
    this.counts = { token_requests: 0, refresh_requests: 0, faults_used: 0, reuse_detected: 0 };
    this.byGrant = {};
  }

  grant(grantId) {
    this.byGrant[grantId] ??= {
      account: this.memory.accountOfGrant.get(grantId) ?? null,
      refresh_requests: 0,
      ok: 0,
      refused: 0,
      reused: 0,
    };
    return this.byGrant[grantId];
  }

  // A fault without `match` waits for a refresh: making a grant in between does not use it up.
  takeFault(form, account) {
    const at = this.faults.findIndex(({ match = {} }) => {
      const grantType = match.grant_type ?? 'refresh_token';
      return (grantType === '*' || grantType === form.get('grant_type'))
        && (match.account === undefined || match.account === account);
    });
    if (at < 0) return null;
    this.counts.faults_used += 1;
    return this.faults.splice(at, 1)[0];
  }

  async handle(req, res) {
    let text;
    try {
      text = await readBody(req);
    } catch {
      req.socket.destroy();
      return;
    }
    const form = new URLSearchParams(text);
    const isRefresh = form.get('grant_type') === 'refresh_token';
    const token = isRefresh ? form.get('refresh_token') : null;
    const grantId = token && this.memory.grantOfToken.get(token)?.grantId;
    const grant = grantId ? this.grant(grantId) : null;
    this.counts.token_requests += 1;
    if (isRefresh) this.counts.refresh_requests += 1;
    if (grant) grant.refresh_requests += 1;

    const fault = this.takeFault(form, grant?.account);
    if (fault?.kind === 'delay') await sleep(fault.ms);
    if (fault?.kind === 'drop_before') return drop(req, fault);
    if (fault?.kind === 'status') return reply(res, fault);
    this.pass(req, res, form, { token, grant, fault });
  }

  // The reply leaves the provider by res.end() and is held up there.
  pass(req, res, form, { token, grant, fault }) {
    if (token && this.seen.has(token) && grant) grant.reused += 1;
    if (token) this.seen.add(token);
    const end = res.end.bind(res);
    res.end = (...rest) => {
      this.count(req, res, grant);
      this.finish(req, res, fault, () => end(...rest));
      return res;
    };
    req.body = Object.fromEntries(form);
    this.callback(req, res);
  }

  count(req, res, grant) {
    if (grant && res.statusCode === 200) grant.ok += 1;
    if (grant && res.statusCode !== 200) grant.refused += 1;
    if (this.verdicts.get(req) === 'refresh token already used') this.counts.reuse_detected += 1;
  }

  finish(req, res, fault, send) {
    switch (fault?.kind) {
      case 'drop_after':
        drop(req, fault);
        break;
      case 'delay_after':
        setTimeout(send, fault.ms);
        break;
      case 'status_after':
        for (const name of res.getHeaderNames()) res.removeHeader(name);
        delete res.end; // the plain one again
        reply(res, fault);
        break;
      default:
        send();
    }
  }

  stats() {
    return { ...this.counts, faults_waiting: this.faults.length, by_grant: this.byGrant };
  }
}
