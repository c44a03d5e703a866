// An authorization server that somebody else wrote (oidc-provider), and an API that answers only to tokens which that
// server itself calls valid. Short lives, rotating refresh tokens, reuse detection; everything that happens is written
// to LOG as lines of JSON, tokens included: the tests compare with it and search for them.
// MODULES is the folder that holds node_modules. Beside the server's own addresses there are
//
//     /api/...            the platforms' own "who am I", in their shapes, for X and Pinterest
//     POST /control/fault {client_id, grant_type, kind: drop|status|delay, status, ms, executed, times}
//     POST /control/revoke {client_id}   the user takes back what was granted to a client
//     POST /control/forget {client_id}   access tokens alone end: the grant can still be refreshed
//
// Clients register themselves (RFC 7591); their metadata may set lives, code_life, access_life, refresh_life, in seconds,
// and do without a code challenge: no_pkce.
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.env.MODULES + '/package.json')
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))

const port = Number(process.env.OIDC_PORT ?? 19310)
const issuer = `http://localhost:${port}`
const out = fs.openSync(process.env.LOG, 'a')
const log = (event, facts) => fs.writeSync(out, JSON.stringify({ at: new Date().toISOString(), event, ...facts }) + '\n')

const lives = ['code_life', 'access_life', 'refresh_life']
const life = (name, otherwise) => (ctx, token, client) => client?.[name] ?? otherwise
// What the platforms call their scopes; "openid offline_access metrics.read" are the server's own taste.
const scopes = ['openid', 'offline_access', 'metrics.read', 'tweet.read', 'users.read', 'offline.access', 'follows.read',
  'user_accounts:read', 'boards:read', 'pins:read']

const provider = new Provider(issuer, {
  scopes,
  claims: { openid: ['sub'] },
  pkce: { required: (ctx, client) => !client.no_pkce },
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: life('access_life', 20), AuthorizationCode: life('code_life', 30), RefreshToken: life('refresh_life', 600),
    Interaction: 600, Session: 3600, Grant: 3600,
  },
  extraClientMetadata: {
    properties: [...lives, 'no_pkce'],
    validator(ctx, key, value) {
      if (lives.includes(key) && value !== undefined && !(Number.isInteger(value) && value > 0)) throw new Error(`${key} must be whole seconds`)
    },
  },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
    introspection: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
  },
  cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
})

// What tests ask to go wrong, by client.
const faults = []
const takeFault = (client, grantType, executed) => {
  const i = faults.findIndex((f) => f.client_id === client && f.grant_type === grantType && f.executed === executed)
  if (i < 0) return undefined
  const f = faults[i]
  if (--f.times <= 0) faults.splice(i, 1)
  return f
}
const wait = (ms) => new Promise((done) => { setTimeout(done, ms) })
const applyFault = async (ctx, f) => {
  if (f.kind === 'delay') return wait(f.ms)
  if (f.kind === 'drop') { ctx.respond = false; ctx.req.socket.destroy(); return }
  ctx.status = f.status
  ctx.type = 'text/html'
  ctx.body = `<html><body>${f.status}</body></html>`
}
const basicClient = (ctx) => {
  const [kind, value] = (ctx.get('authorization') || '').split(' ')
  if (kind?.toLowerCase() !== 'basic') return undefined
  return decodeURIComponent(Buffer.from(value, 'base64').toString().split(':')[0])
}

const spent = new Set() // every refresh token that was ever traded in: this memory never forgets, the server's may
const grants = new Map() // client -> grant ids
const clientTokens = new Map() // client -> access tokens
const bodyOf = async (req) => { let s = ''; for await (const part of req) s += part; return s }

provider.use(async (ctx, next) => {
  const token = ctx.method === 'POST' && ctx.path === '/token'
  if (token) {
    // A fault before the server does anything: it must be told apart from one after it.
    ctx.req.body = Object.fromEntries(new URLSearchParams(await bodyOf(ctx.req)))
    const form = ctx.req.body, client = form.client_id ?? basicClient(ctx)
    const f = takeFault(client, form.grant_type, false)
    if (f) {
      log('fault', { client, kind: f.kind, status: f.status, executed: false, grant_type: form.grant_type, refresh_token: form.refresh_token })
      await applyFault(ctx, f)
      if (f.kind !== 'delay') return
    }
  }
  await next()
  const o = ctx.oidc
  if (token) {
    const form = ctx.req.body, client = o?.client?.clientId ?? form.client_id ?? basicClient(ctx)
    const answer = ctx.body ?? {}
    const reuse = form.grant_type === 'refresh_token' && spent.has(form.refresh_token)
    log('token', { client, account: o?.entities.Account?.accountId, grant_type: form.grant_type, status: ctx.status, error: answer.error, error_description: answer.error_description,
      code: form.code, verifier: form.code_verifier, redirect_uri: form.redirect_uri, refresh_token: form.refresh_token, reuse,
      issued: { access_token: answer.access_token, refresh_token: answer.refresh_token, id_token: answer.id_token, scope: answer.scope, expires_in: answer.expires_in } })
    if (ctx.status === 200) {
      if (form.grant_type === 'refresh_token') spent.add(form.refresh_token)
      const grant = o.entities.Grant?.jti ?? o.entities.RefreshToken?.grantId ?? o.entities.AccessToken?.grantId
      if (grant) grants.set(client, (grants.get(client) ?? new Set()).add(grant))
      clientTokens.set(client, (clientTokens.get(client) ?? new Set()).add(answer.access_token))
    }
    const f = takeFault(client, form.grant_type, true)
    if (f) {
      log('fault', { client, kind: f.kind, status: f.status, executed: true, grant_type: form.grant_type, refresh_token: form.refresh_token })
      await applyFault(ctx, f)
    }
  } else if (ctx.path === '/token/revocation') {
    log('revocation', { client: o?.client?.clientId, status: ctx.status, token: o?.params?.token, hint: o?.params?.token_type_hint })
  } else if (ctx.path.startsWith('/auth')) {
    log('auth', { path: ctx.path, status: ctx.status, client: o?.client?.clientId ?? ctx.query.client_id, redirect_uri: ctx.query.redirect_uri, state: ctx.query.state,
      scope: ctx.query.scope, challenge: ctx.query.code_challenge, method: ctx.query.code_challenge_method })
  }
})

for (const event of ['grant.error', 'grant.revoked', 'authorization.error', 'server_error', 'revocation.error', 'registration_create.error']) {
  provider.on(event, (ctx, err) => log(event, { client: ctx?.oidc?.client?.clientId, detail: String(err?.error_detail ?? err?.message ?? err), stack: event === 'server_error' ? err?.stack : undefined }))
}
provider.on('refresh_token.consumed', (t) => log('refresh_token.consumed', { client: t.clientId, token: t.jti }))

// ---- the platform's API ----
const numericId = (name) => String(crypto.createHash('sha256').update(name).digest().readUIntBE(0, 6))
const shapes = {
  '/users/me': {
    ok: (name) => ({ data: { id: numericId(name), name: `Name of ${name}`, username: name, profile_image_url: 'https://pictures.invalid/' + name + '.png' } }),
    refused: { title: 'Unauthorized', type: 'about:blank', status: 401, detail: 'Unauthorized' },
  },
  '/user_account': {
    ok: (name) => ({ account_type: 'BUSINESS', id: numericId(name), username: name, business_name: `Name of ${name}`, follower_count: 3, following_count: 1, pin_count: 2, board_count: 1, monthly_views: 9, profile_image: 'https://pictures.invalid/' + name + '.png', about: '', website_url: '' }),
    refused: { code: 2, message: 'Authentication failed.' },
  },
}
const send = (res, status, body) => { res.writeHead(status, { 'content-type': 'application/json' }); res.end(JSON.stringify(body)) }
async function api(req, res, path) {
  const shape = shapes[path.replace(/^\/(2|v5)\//, '/')] // with and without a version
  const bearer = (req.headers.authorization ?? '').match(/^Bearer (\S+)$/i)?.[1]
  const token = bearer && await provider.AccessToken.find(bearer)
  const valid = Boolean(token?.isValid)
  log('api', { path, client: token?.clientId, account: token?.accountId, valid, known: Boolean(shape), token: bearer })
  if (!shape) return send(res, 404, { title: 'Not Found', status: 404, type: 'about:blank', detail: 'Not Found' })
  return valid ? send(res, 200, shape.ok(token.accountId)) : send(res, 401, shape.refused)
}

// ---- what tests steer ----
const controls = {
  async fault(f) { faults.push({ grant_type: 'refresh_token', times: 1, executed: true, ...f }); return { faults: faults.length } },
  async revoke({ client_id: client }) {
    for (const id of grants.get(client) ?? []) {
      await Promise.all([provider.AccessToken.revokeByGrantId(id), provider.RefreshToken.revokeByGrantId(id)])
      await provider.Grant.adapter.destroy(id)
    }
    log('control.revoke', { client, grants: (grants.get(client) ?? new Set()).size })
    return { grants: (grants.get(client) ?? new Set()).size }
  },
  async forget({ client_id: client }) {
    let n = 0
    for (const value of clientTokens.get(client) ?? []) {
      const t = await provider.AccessToken.find(value)
      if (t) { await t.destroy(); n++ }
    }
    log('control.forget', { client, tokens: n })
    return { tokens: n }
  },
}

const server = http.createServer(async (req, res) => {
  try {
    const path = new URL(req.url, issuer).pathname
    if (path.startsWith('/api/')) return await api(req, res, path.slice('/api'.length))
    if (path.startsWith('/control/')) {
      const f = controls[path.slice('/control/'.length)]
      if (!f || req.method !== 'POST') return send(res, 404, { error: 'no such control' })
      return send(res, 200, await f(JSON.parse(await bodyOf(req) || '{}')))
    }
    return await provider.callback()(req, res)
  } catch (err) {
    log('harness_error', { detail: String(err?.stack ?? err) })
    if (!res.headersSent) send(res, 500, { error: String(err) })
  }
})
server.listen(port, '127.0.0.1', () => {
  const ready = {
    issuer, authorize: issuer + '/auth', token: issuer + '/token', revoke: issuer + '/token/revocation', introspect: issuer + '/token/introspection',
    register: issuer + '/reg', api: issuer + '/api', control: issuer + '/control', log: process.env.LOG, scopes,
  }
  if (process.env.READY_FILE) fs.writeFileSync(process.env.READY_FILE, JSON.stringify(ready))
  console.log('READY ' + JSON.stringify(ready))
})
const stop = () => { server.closeAllConnections(); server.close(() => process.exit(0)) }
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
