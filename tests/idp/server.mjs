#!/usr/bin/env node
// A real authorization server on loopback: oidc-provider, with its own login and consent forms,
// refresh token rotation and revocation, and beside it a control door for the tests (control.mjs).
//
//     node server.mjs [--port 0] [--access-ttl S] [--refresh-ttl S] [--rotation on|off]
//                     [--device-interval S] [--device-ttl S] [--keep-alive-ms N] [--die-with-stdin]
//
// Beside the provider there is a resource that it protects, /api (RFC 9728), for discovery.
//
// When it is ready it prints one line of JSON with all that a client needs, and nothing else ever.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Control } from './control.mjs';
import { Memory } from './store.mjs';
import { TokenDesk } from './tokens.mjs';

const OPTIONS = {
  port: { type: 'string', default: '0' },
  'access-ttl': { type: 'string', default: '60' },
  'refresh-ttl': { type: 'string', default: '86400' },
  rotation: { type: 'string', default: 'on' },
  'device-interval': { type: 'string', default: '1' },
  'device-ttl': { type: 'string', default: '600' },
  'keep-alive-ms': { type: 'string', default: '65000' },
  'die-with-stdin': { type: 'boolean', default: false },
};
const REDIRECT_URI = 'http://127.0.0.1/callback'; // a native app's: any port will do
const YEAR_S = 365 * 86400;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

function integer(values, name, min, max) {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  process.stderr.write(`server.mjs: --${name} is a whole number from ${min} to ${max}\n`);
  return process.exit(2);
}

function readArguments() {
  const { values } = parseArgs({ options: OPTIONS });
  if (!['on', 'off'].includes(values.rotation)) {
    process.stderr.write('server.mjs: --rotation is on or off\n');
    process.exit(2);
  }
  return {
    port: integer(values, 'port', 0, 65535),
    accessTtl: integer(values, 'access-ttl', 1, YEAR_S),
    refreshTtl: integer(values, 'refresh-ttl', 1, YEAR_S),
    deviceInterval: integer(values, 'device-interval', 1, 3600),
    deviceTtl: integer(values, 'device-ttl', 1, YEAR_S),
    keepAliveMs: integer(values, 'keep-alive-ms', 1, 3_600_000),
    rotation: values.rotation === 'on',
    dieWithStdin: values['die-with-stdin'],
  };
}

function client(name, auth, secret) {
  return {
    client_id: name,
    client_secret: secret,
    token_endpoint_auth_method: auth,
    application_type: 'native',
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
  };
}

const newSecret = () => randomBytes(24).toString('base64url');

// The third one's name and secret must be form-encoded in the header (RFC 6749, section 2.3.1).
function makeClients() {
  return {
    basic: client('bursar-basic', 'client_secret_basic', newSecret()),
    post: client('bursar-post', 'client_secret_post', newSecret()),
    odd: client('bursar odd:client', 'client_secret_basic', `${newSecret()}:+% &=/`),
  };
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'ES256' };
}

function configuration(args, memory, clients) {
  return {
    adapter: memory.adapter(),
    clients: Object.values(clients),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    cookies: { keys: [randomBytes(24).toString('hex')] },
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
    },
    findAccount: (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    jwks: { keys: [signingKey()] },
    pkce: { methods: ['S256'], required: () => true },
    rotateRefreshToken: args.rotation,
    scopes: ['openid', 'offline_access'],
    ttl: {
      AccessToken: args.accessTtl,
      AuthorizationCode: 600, // a busy machine may take more than the usual minute
      DeviceCode: args.deviceTtl,
      Grant: YEAR_S,
      IdToken: args.accessTtl,
      Interaction: 600,
      RefreshToken: args.refreshTtl,
      Session: 86400,
    },
  };
}

// Loaded late, so that what the package has to say at load goes to standard error too.
async function makeProvider(issuer, config, interval) {
  console.info = () => {};
  console.log = () => {};
  console.warn = () => {};
  const { default: Provider } = await import('oidc-provider');
  const provider = new Provider(issuer, config);
  provider.use(async (ctx, next) => { // the package leaves `interval` out
    await next();
    if (ctx.oidc?.route === 'device_authorization' && ctx.body?.device_code) {
      ctx.body.interval = interval;
    }
  });
  provider.on('server_error', (_ctx, error) => {
    process.stderr.write(`idp: ${error.name}: ${error.message}\n`);
  });
  return provider;
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => resolve(server.address().port));
  });
}

function stopOn(server, args) {
  const stop = () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (args.dieWithStdin) process.stdin.on('end', stop).on('error', stop).resume();
}

function describe(issuer, port, clients) {
  const plain = Object.fromEntries(Object.entries(clients).map(([name, c]) => [name, {
    client_id: c.client_id,
    client_secret: c.client_secret,
    client_auth: c.token_endpoint_auth_method,
  }]));
  return {
    issuer,
    port,
    token_url: `${issuer}/token`,
    revoke_url: `${issuer}/token/revocation`,
    authorize_url: `${issuer}/auth`,
    device_url: `${issuer}/device/auth`,
    identity_url: `${issuer}/me`,
    resource: `${issuer}/api`,
    ...plain.basic,
    redirect_uri: REDIRECT_URI,
    clients: plain,
  };
}

// A resource without a token: where its metadata are, and the metadata (RFC 9728).
function protect(issuer) {
  const metadata = '/.well-known/oauth-protected-resource/api';
  const documents = {
    [metadata]: {
      resource: `${issuer}/api`,
      authorization_servers: [issuer],
      scopes_supported: ['openid', 'offline_access'],
    },
    // What is elsewhere is told by the challenge alone.
    '/hidden-metadata': {
      resource: `${issuer}/hidden`,
      authorization_servers: [issuer],
    },
  };
  const challenges = { '/api': metadata, '/hidden': '/hidden-metadata' };
  return (req, res) => {
    const place = challenges[req.url];
    if (place) {
      const value = `Bearer realm="x", resource_metadata="${issuer}${place}"`;
      res.writeHead(401, { 'www-authenticate': value });
      res.end();
    } else if (documents[req.url]) {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(documents[req.url]));
    }
    return Boolean(place || documents[req.url]);
  };
}

async function main() {
  const args = readArguments();
  let handle = (_req, res) => { res.statusCode = 503; res.end(); };
  const server = createServer((req, res) => handle(req, res));
  server.keepAliveTimeout = args.keepAliveMs;
  const port = await listen(server, args.port);
  const issuer = `http://127.0.0.1:${port}`;

  const memory = new Memory();
  const clients = makeClients();
  const provider = await makeProvider(
    issuer,
    configuration(args, memory, clients),
    args.deviceInterval,
  );
  const callback = provider.callback();
  const desk = new TokenDesk(memory, callback);
  provider.on('grant.error', (ctx, error) => {
    desk.verdicts.set(ctx.req, error.error_detail ?? error.error_description);
  });
  const control = new Control({ provider, memory, desk, defaultClient: clients.basic.client_id });

  const isProtected = protect(issuer);

  handle = (req, res) => {
    if (isProtected(req, res)) return;
    if (req.url.startsWith('/_control/')) control.handle(req, res);
    else if (req.method === 'POST' && req.url === '/token') desk.handle(req, res);
    else callback(req, res);
  };
  stopOn(server, args);
  process.stdout.write(`${JSON.stringify(describe(issuer, port, clients))}\n`);
}

await main();
