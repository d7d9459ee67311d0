#!/usr/bin/env node
// A person who consents, without a person: logs in and says yes (or no) at an address.
//
//     node consent.mjs [--account NAME] [--deny] [--redirect-uri URI] [--follow]
//
// The address comes by standard input, for it holds a state. With --redirect-uri (of a consent in a
// browser) the address that the browser is led to is printed, or with --follow opened, and what is
// there is printed. Without it the address is that of a device's code, and the last page is checked.

import { parseArgs } from 'node:util';

import { fetchText, walk } from './grant.mjs';

async function readStdin() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString().trim();
}

async function main() {
  const { values } = parseArgs({
    options: {
      account: { type: 'string', default: 'alice' },
      deny: { type: 'boolean', default: false },
      'redirect-uri': { type: 'string' },
      follow: { type: 'boolean', default: false },
    },
  });
  const answers = { login: values.account, password: 'any' };
  const redirectUri = values['redirect-uri'];
  const end = await walk(await readStdin(), redirectUri, answers, { deny: values.deny });
  if (redirectUri && values.follow) {
    const page = await fetchText(end.href);
    const { status, headers, text } = page;
    process.stdout.write(`${JSON.stringify({ status, headers, text })}\n`);
  } else if (redirectUri) {
    process.stdout.write(`${end.href}\n`);
  } else {
    const isEnd = values.deny ? /interrupted/.test(end) : /successful/.test(end);
    if (!isEnd) throw new Error('the last page says something else');
  }
}

main().catch((error) => {
  process.stderr.write(`consent.mjs: ${error.message}\n`);
  process.exit(1);
});
