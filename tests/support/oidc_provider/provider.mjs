// A real OpenID provider for tests: oidc-provider, with its own forms to sign in and to consent.
// node provider.mjs PORT CLIENT_SECRET REDIRECT_URI
// Whoever signs in as NAME has the mail address NAME@shop.example; it is checked unless NAME begins with "new".
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [port, secret, back] = process.argv.slice(2);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'andon', client_secret: secret, redirect_uris: [back] }],
  claims: { email: ['email', 'email_verified'], profile: ['name'] },
  // Mail address and name in the ID token, as most companies' providers have them.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@shop.example`, email_verified: !id.startsWith('new'), name: id }),
  }),
});

createServer(provider.callback()).listen(Number(port), '127.0.0.1', () => console.log('ready'));
