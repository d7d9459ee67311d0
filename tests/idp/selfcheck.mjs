#!/usr/bin/env node
// Proves the test provider itself: grants, rotation, reuse, each fault, revocation, counts. TAP.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { fetchText, grant, grantMany, tokenRequest } from './grant.mjs';

const TIMEOUT_MS = 60_000;
let count = 0;
let failed = 0;

function ok(condition, name) {
  count += 1;
  if (!condition) failed += 1;
  process.stdout.write(`${condition ? 'ok' : 'not ok'} ${count} - ${name}\n`);
}

function same(got, expected, name) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  ok(a === b, name);
  if (a !== b) process.stdout.write(`#   got ${a}\n#   expected ${b}\n`);
}

function startServer(...args) {
  const script = fileURLToPath(new URL('server.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, '--die-with-stdin', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  const lines = [];
  const first = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (lines.length === 1) resolve(JSON.parse(line));
    });
    child.once('exit', () => reject(new Error('the server ended before it was ready')));
  });
  return { child, exited, lines, ready: first };
}

function control(idp) {
  return async (method, path, body) => {
    const res = await fetchText(`${idp.issuer}/_control/${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    return { status: res.status, ...JSON.parse(res.text) };
  };
}

const refresh = (idp, token) => tokenRequest(idp, {
  grant_type: 'refresh_token', refresh_token: token,
});

function same400(reply, name) {
  same([reply.status, reply.body.error], [400, 'invalid_grant'], name);
}

async function failsOnTheWire(promise) {
  try {
    await promise;
    return false;
  } catch (error) {
    return ['ECONNRESET', 'EPIPE'].includes(error.code);
  }
}

async function took(promise) {
  const start = process.hrtime.bigint();
  const result = await promise;
  return { ms: Number(process.hrtime.bigint() - start) / 1e6, result };
}

async function checkGrants(idp, ask) {
  for (const client of ['basic', 'post', 'odd']) {
    const reply = await grant(idp, { account: `user-${client}`, client });
    ok(reply.refresh_token && reply.access_token && reply.expires_in === 60
       && reply.token_type === 'Bearer' && reply.scope.includes('offline_access'),
    `authorization-code grant, client ${client}`);
    const seen = await ask('POST', 'lookup', { refresh_token: reply.refresh_token });
    ok(seen.account === `user-${client}` && seen.current && seen.grant_alive, `it is ${client}'s`);
  }
  const many = await grantMany(idp, 20);
  same(new Set(many.map((m) => m.refresh_token)).size, 20, '20 grants are 20 tokens');
  const bulk = await ask('POST', 'grants', { count: 1500, account: 'bulk' });
  same(bulk.grants.length, 1500, '1500 grants in bulk');
  const first = await refresh(idp, bulk.grants[0].refresh_token);
  same(first.status, 200, 'the first of them is still known');
}

async function checkRotation(idp, ask) {
  const { refresh_token: old } = await grant(idp, { account: 'rotor' });
  const one = await refresh(idp, old);
  ok(one.status === 200 && one.body.refresh_token !== old, 'a refresh rotates the token');
  ok(!(await ask('POST', 'lookup', { refresh_token: old })).current, 'the old one is not current');
  const again = await refresh(idp, old);
  same400(again, 'second use is refused');
  const successor = await refresh(idp, one.body.refresh_token);
  same400(successor, 'and the family is revoked');
  const { grant_id: id, stats } = await ask('POST', 'lookup', { refresh_token: old });
  const counts = [stats.refresh_requests, stats.ok, stats.refused, stats.reused];
  same(counts, [3, 1, 2, 1], 'counts of it');
  const all = await ask('GET', 'stats');
  same([all.reuse_detected, all.by_grant[id].account], [1, 'rotor'], 'the provider saw one reuse');
  let token = (await grant(idp, { account: 'runner' })).refresh_token;
  for (let i = 0; i < 100; i += 1) token = (await refresh(idp, token)).body.refresh_token;
  const run = await ask('POST', 'lookup', { refresh_token: token });
  same([run.current, run.stats.ok, run.stats.reused], [true, 100, 0], '100 refreshes in a row');
}

async function checkFaults(idp, ask) {
  let token = (await grant(idp, { account: 'faulty' })).refresh_token;
  await ask('POST', 'faults', [
    { kind: 'delay', ms: 300 },
    { kind: 'delay_after', ms: 300 },
    { kind: 'status', status: 503, headers: { 'retry-after': '7' }, body: 'busy' },
    { kind: 'drop_before' },
  ]);
  await grant(idp, { account: 'other' });
  same((await ask('GET', 'faults')).faults.length, 4, 'a grant uses no fault up');
  for (const kind of ['delay', 'delay_after']) {
    const { ms, result } = await took(refresh(idp, token));
    ok(result.status === 200 && ms >= 290, `${kind}: late, and good`);
    token = result.body.refresh_token;
  }
  const busy = await fetchText(idp.token_url, {
    method: 'POST',
    body: 'grant_type=refresh_token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const told = [busy.status, busy.headers['retry-after'], busy.text];
  same(told, [503, '7', 'busy'], 'status: as told');
  ok(await failsOnTheWire(refresh(idp, token)), 'drop_before: no reply');
  const after = await refresh(idp, token);
  same(after.status, 200, 'drop_before: the token was not spent');
  await ask('POST', 'faults', { faults: [{ kind: 'drop_after', reset: true }] });
  token = after.body.refresh_token;
  ok(await failsOnTheWire(refresh(idp, token)), 'drop_after: no reply');
  same400(await refresh(idp, token), 'drop_after: the token was spent');
  token = (await grant(idp, { account: 'spoiled' })).refresh_token;
  await ask('POST', 'faults', [{ kind: 'status_after', status: 500, match: { account: 'nobody' } },
    { kind: 'status_after', status: 502, body: '{}', match: { account: 'spoiled' } }]);
  same((await refresh(idp, token)).status, 502, 'status_after: matched by account');
  same400(await refresh(idp, token), 'status_after: the token was spent');
  same((await ask('DELETE', 'faults')).dropped, 1, 'faults can be taken back');
  const nonsense = await ask('POST', 'faults', [{ kind: 'nonsense' }]);
  same(nonsense.status, 400, 'an unknown fault is refused');
}

async function checkRevocation(idp, ask) {
  const one = await grant(idp, { account: 'leaver' });
  ok((await ask('POST', 'revoke', { refresh_token: one.refresh_token })).revoked, 'a user revokes');
  same400(await refresh(idp, one.refresh_token), 'the grant is dead');
  const two = await grant(idp, { account: 'stayer' });
  const pair = `${idp.client_id}:${idp.client_secret}`;
  const res = await fetchText(idp.revoke_url, {
    method: 'POST',
    body: new URLSearchParams({ token: two.refresh_token }).toString(),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
    },
  });
  same(res.status, 200, 'the revocation endpoint takes a token');
  same400(await refresh(idp, two.refresh_token), 'and the token is dead');
  const wrong = await tokenRequest({ ...idp, client_secret: 'not-this-one' },
    { grant_type: 'refresh_token', refresh_token: one.refresh_token });
  same([wrong.status, wrong.body.error], [401, 'invalid_client'], 'a wrong client secret');
  const { tokens } = await ask('GET', 'secrets');
  ok([one.refresh_token, two.access_token].every((token) => tokens.includes(token)),
    'tokens are remembered');
  same((await ask('GET', 'nothing')).status, 404, 'an unknown control is 404');
  same((await ask('GET', 'health')).ok, true, 'health');
}

async function checkNoRotation() {
  const server = startServer('--rotation', 'off', '--access-ttl', '2');
  const idp = await server.ready;
  const first = await grant(idp);
  const second = await refresh(idp, first.refresh_token);
  same([second.body.refresh_token === first.refresh_token, first.expires_in], [true, 2],
    'without rotation the token stays; the life of an access token is as asked');
  server.child.stdin.end();
  same(await server.exited, 0, 'the server ends when its standard input closes');
}

async function main() {
  const watchdog = setTimeout(() => {
    process.stdout.write('Bail out! the self-check hangs\n');
    process.exit(1);
  }, TIMEOUT_MS);
  const server = startServer();
  const idp = await server.ready;
  const ask = control(idp);
  for (const check of [checkGrants, checkRotation, checkFaults, checkRevocation]) {
    await check(idp, ask);
  }
  server.child.kill('SIGTERM');
  same(await server.exited, 0, 'the server ends on SIGTERM');
  same(server.lines.length, 1, 'it printed one line');
  await checkNoRotation();
  clearTimeout(watchdog);
  process.stdout.write(`1..${count}\n`);
  process.exitCode = failed ? 1 : 0;
}

main().catch((error) => {
  process.stdout.write(`Bail out! ${error.message}\n`);
  process.exit(1);
});
