#!/usr/bin/env node
// Gets a refresh token as a person in front of a browser would: authorization code with PKCE, the
// provider's own login and consent forms filled in, the code taken from the last redirection.
//
//     node grant.mjs ISSUER_JSON_OR_URL [--account NAME] [--client basic|post|odd] [--count N]
//
// ISSUER_JSON is the line that server.mjs printed, or `-` to read it from standard input (so that
// the client's secret is no argument). An issuer's URL alone lacks the client: then --client-id,
// and the secret in BURSAR_IDP_CLIENT_SECRET. Prints the token endpoint's reply, an object a line.

import { realpathSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const MAX_STEPS = 20;
const TIMEOUT_MS = 15_000;

export function fetchText(url, { method = 'GET', headers = {}, body, agent } = {}) {
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = { method, agent, timeout: TIMEOUT_MS, headers: { ...headers, ...sent } };
    const req = request(url, options);
    req.on('timeout', () => req.destroy(new Error(`no reply from ${new URL(url).pathname}`)));
    req.on('error', reject);
    req.on('response', (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => resolve({
        status: res.statusCode, headers: res.headers, text: Buffer.concat(chunks).toString(),
      }));
    });
    req.end(body);
  });
}

// As much of RFC 6265 as one origin needs: name, value and path.
class CookieJar {
  constructor() {
    this.cookies = new Map();
  }

  take(headers) {
    for (const line of headers['set-cookie'] ?? []) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const path = attributes.find((a) => /^path=/i.test(a))?.slice(5) ?? '/';
      if (value) this.cookies.set(`${name};${path}`, { name, value, path });
      else this.cookies.delete(`${name};${path}`);
    }
  }

  header(pathname) {
    const fits = ({ path }) => pathname === path
      || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
    const pairs = [...this.cookies.values()].filter(fits).map((c) => `${c.name}=${c.value}`);
    return pairs.length ? { cookie: pairs.join('; ') } : {};
  }
}

const ENTITIES = { '&amp;': '&', '&quot;': '"', '&#39;': "'" };
const decodeHtml = (text) => text.replace(/&(amp|quot|#39);/g, (entity) => ENTITIES[entity]);

function attribute(tag, name) {
  const found = tag.match(new RegExp(`\\b${name}="([^"]*)"`));
  return found ? decodeHtml(found[1]) : undefined;
}

// The first form of a page: where it goes and what is filled in for each field.
function readForm(html, answers) {
  const form = html.match(/<form[^>]*>[\s\S]*?<\/form>/)?.[0];
  if (!form) return null;
  const fields = new URLSearchParams();
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, 'name');
    if (name) fields.set(name, answers[name] ?? attribute(tag, 'value') ?? '');
  }
  return { action: attribute(form, 'action'), fields };
}

// Walks redirections and forms until the provider sends the browser to the redirect URI, or shows a
// page without a form. With `deny` the consent is refused where it is asked for.
export async function walk(start, redirectUri, answers, { agent, deny = false } = {}) {
  const jar = new CookieJar();
  let step = { url: start };
  let isLast = false; // whatever is shown next is the end
  for (let i = 0; i < MAX_STEPS; i += 1) {
    const { pathname } = new URL(step.url);
    const headers = { ...jar.header(pathname), ...step.headers };
    const page = await fetchText(step.url, { ...step, headers, agent });
    jar.take(page.headers);
    if (page.status >= 300 && page.status < 400) {
      const target = new URL(page.headers.location, step.url);
      if (redirectUri && target.href.startsWith(redirectUri)) return target;
      step = { url: target.href };
      continue;
    }
    const form = page.status === 200 ? readForm(page.text, answers) : null;
    if ((isLast || (!form && !redirectUri)) && page.status === 200) return page.text;
    if (!form) throw new Error(`${pathname} answered ${page.status} and no form`);
    const cancel = page.text.match(/<a href="([^"]*\/abort)"/)?.[1];
    if (deny && cancel && form.fields.get('prompt') === 'consent') {
      step = { url: new URL(decodeHtml(cancel), step.url).href };
      continue;
    }
    if (deny && form.fields.has('confirm')) { // of a device
      form.fields.delete('confirm');
      form.fields.set('abort', 'yes');
      isLast = true;
    }
    step = {
      url: new URL(form.action, step.url).href,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.fields.toString(),
    };
  }
  throw new Error('the login went in circles');
}

const formEncode = (text) => new URLSearchParams({ x: text }).toString().slice(2);

export async function tokenRequest(idp, form, agent) {
  const body = new URLSearchParams(form);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  if (idp.client_auth === 'client_secret_post') {
    body.set('client_id', idp.client_id);
    body.set('client_secret', idp.client_secret);
  } else {
    const pair = `${formEncode(idp.client_id)}:${formEncode(idp.client_secret)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  const url = idp.token_url ?? `${idp.issuer}/token`;
  const res = await fetchText(url, { method: 'POST', headers, body: body.toString(), agent });
  return { status: res.status, headers: res.headers, body: res.text ? JSON.parse(res.text) : null };
}

// One grant. `idp` is what server.mjs printed; gives the token endpoint's reply.
export async function grant(idp, { account = 'alice', client = 'basic', scope, agent } = {}) {
  const who = { ...idp, ...(idp.clients?.[client] ?? {}) };
  const redirectUri = who.redirect_uri.replace('127.0.0.1/', '127.0.0.1:9/'); // nobody is there
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const start = new URL(who.authorize_url ?? `${who.issuer}/auth`);
  start.search = new URLSearchParams({
    client_id: who.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: scope ?? 'openid offline_access',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
  });
  const target = await walk(start.href, redirectUri, { login: account, password: 'any' }, { agent });
  const answer = target.searchParams;
  if (answer.get('error')) throw new Error(`authorization refused: ${answer.get('error')}`);
  if (answer.get('state') !== state) throw new Error('the state came back changed');
  const reply = await tokenRequest(who, {
    grant_type: 'authorization_code',
    code: answer.get('code'),
    redirect_uri: redirectUri,
    code_verifier: verifier,
  }, agent);
  if (reply.status !== 200) throw new Error(`token endpoint: ${reply.status} ${reply.body?.error}`);
  return reply.body;
}

// Many real grants, a few at a time. Accounts are NAME-0, NAME-1, …
export async function grantMany(idp, count, { account = 'account', parallel = 8, ...rest } = {}) {
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  const replies = new Array(count);
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const i = next;
      next += 1;
      replies[i] = await grant(idp, { ...rest, account: `${account}-${i}`, agent });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
  } finally {
    agent.destroy();
  }
  return replies;
}

async function readStdin() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString().trim();
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      account: { type: 'string', default: 'alice' },
      client: { type: 'string', default: 'basic' },
      'client-id': { type: 'string' },
      count: { type: 'string' },
    },
  });
  const where = positionals[0] === '-' ? await readStdin() : positionals[0];
  const count = values.count === undefined ? 1 : Number(values.count);
  if (positionals.length !== 1 || !Number.isInteger(count) || count < 1) {
    process.stderr.write('usage: grant.mjs ISSUER_JSON_OR_URL [--account NAME] [--client NAME] '
      + '[--count N]\n');
    process.exit(2);
  }
  const idp = where.startsWith('{') ? JSON.parse(where) : {
    issuer: where.replace(/\/$/, ''),
    client_id: values['client-id'],
    client_secret: process.env.BURSAR_IDP_CLIENT_SECRET,
    client_auth: 'client_secret_basic',
    redirect_uri: 'http://127.0.0.1/callback',
  };
  const options = { account: values.account, client: values.client };
  const replies = values.count === undefined
    ? [await grant(idp, options)] : await grantMany(idp, count, options);
  for (const reply of replies) process.stdout.write(`${JSON.stringify(reply)}\n`);
}

// The path may have come through a symbolic link; the URL of a module never does.
if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  main().catch((error) => {
    process.stderr.write(`grant.mjs: ${error.message}\n`);
    process.exit(1);
  });
}
