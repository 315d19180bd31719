// An OpenID Connect provider for tests: node-oidc-provider, which is certified, with one client, and
// beside it what a test needs of a provider and no provider would do: tokens that are wrong in one
// way, and a change of keys on demand.
//
//   node provider.mjs MODULES PORT
//
//   POST /testkit/token   {"subject", "audience", "groups", "lives_seconds", "flaw"} -> a token
//   POST /testkit/rotate  new signing key; tokens of the old one stay valid until they expire,
//                         unless {"forget": true}
//
// A token without a flaw comes from the provider's own token endpoint (client credentials, a JWT
// access token for a resource). A flawed one is signed here with the provider's own key.

import { createServer } from 'node:http';
import { createPublicKey, createHmac, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [modules, port] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/${path}`).href);
const { default: Provider } = await load('oidc-provider/lib/index.js');
const { generateKeyPair, exportJWK, importJWK, SignJWT } = await load('jose/dist/webapi/index.js');

const issuer = `http://127.0.0.1:${port}`;
const client = { client_id: 'trailgate-testkit', client_secret: randomUUID() };
const json = { 'content-type': 'application/json' };

// Newest first: the provider signs with the first key that fits.
let keys = [];
let provider;

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

async function rotate(forget) {
  keys = [await newKey(), ...(forget ? [] : keys)];
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      ...client,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'audit',
          audience: ctx.oidc.body.audience ?? resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(ctx.oidc.body.lives_seconds ?? 3600),
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    formats: {
      customizers: {
        jwt(ctx, token, { payload }) {
          payload.sub = ctx.oidc.body.subject;
          payload.groups = JSON.parse(ctx.oidc.body.groups);
        },
      },
    },
  });
}

async function goodToken(wanted) {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource: 'urn:trailgate:test',
      subject: wanted.subject,
      audience: wanted.audience,
      groups: JSON.stringify(wanted.groups),
      lives_seconds: String(wanted.lives_seconds),
    }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`token endpoint: ${JSON.stringify(body)}`);
  return body.access_token;
}

async function flawedToken(wanted) {
  const now = Math.floor(Date.now() / 1000);
  const head = { alg: 'RS256', kid: keys[0].kid, typ: 'at+jwt' };
  const claims = {
    iss: issuer,
    aud: wanted.audience,
    sub: wanted.subject,
    groups: wanted.groups,
    jti: randomUUID(),
    iat: now,
    nbf: now,
    exp: now + wanted.lives_seconds,
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = async (key) =>
    new SignJWT(claims).setProtectedHeader(head).sign(await importJWK(key, 'RS256'));

  switch (wanted.flaw) {
    case 'wrong_issuer': claims.iss = 'http://127.0.0.1:1/another'; break;
    case 'wrong_audience': claims.aud = 'someone-else'; break;
    case 'no_audience': delete claims.aud; break;
    case 'expired': Object.assign(claims, { iat: now - 7200, nbf: now - 7200, exp: now - 3600 }); break;
    case 'not_yet_valid': Object.assign(claims, { nbf: now + 3600, exp: now + 7200 }); break;
    case 'no_expiry': delete claims.exp; break;
    case 'no_subject': delete claims.sub; break;
    case 'unknown_kid': head.kid = randomUUID(); return signed(await newKey());
    case 'forged': return signed(await newKey());
    case 'alg_none':
      return `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims)}.`;
    case 'hs256_with_public_key': {
      const pem = createPublicKey({ key: publicHalf(keys[0]), format: 'jwk' })
        .export({ type: 'spki', format: 'pem' });
      const input = `${part({ ...head, alg: 'HS256' })}.${part(claims)}`;
      return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
    }
    case 'changed_claims': {
      const [h, , signature] = (await signed(keys[0])).split('.');
      return `${h}.${part({ ...claims, groups: ['everything'] })}.${signature}`;
    }
    default: throw new Error(`no such flaw: ${wanted.flaw}`);
  }
  return signed(keys[0]);
}

const publicHalf = ({ kty, n, e }) => ({ kty, n, e });

async function bodyOf(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

async function testkit(request, answer) {
  const wanted = await bodyOf(request);
  if (request.url === '/testkit/token') {
    const token = wanted.flaw ? await flawedToken(wanted) : await goodToken(wanted);
    answer.writeHead(200, json).end(JSON.stringify({ token }));
  } else if (request.url === '/testkit/rotate') {
    await rotate(wanted.forget === true);
    answer.writeHead(200, json).end(JSON.stringify({ kid: keys[0].kid }));
  } else {
    answer.writeHead(404).end();
  }
}

await rotate(false);
createServer((request, answer) => {
  if (!request.url.startsWith('/testkit/')) {
    provider.callback()(request, answer);
    return;
  }
  testkit(request, answer).catch((error) => {
    console.error(error);
    answer.writeHead(500, json).end(JSON.stringify({ error: String(error) }));
  });
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));
