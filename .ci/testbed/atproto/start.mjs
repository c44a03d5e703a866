// A small Bluesky network: PLC directory, PDS (with OAuth provider), AppView. MODULES is the folder that holds
// node_modules.
import net from 'node:net'
import fs from 'node:fs'
import { createRequire } from 'node:module'
const require = createRequire(process.env.MODULES + '/package.json')
// every listener of the stack goes to loopback only
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...a) {
  if (typeof a[0] === 'number' || /^\d+$/.test(String(a[0]))) {
    const cb = a.find((x) => typeof x === 'function')
    return listen.call(this, { port: Number(a[0]), host: '127.0.0.1' }, cb)
  }
  if (a[0] && typeof a[0] === 'object' && a[0].port !== undefined && !a[0].host) a[0].host = '127.0.0.1'
  return listen.apply(this, a)
}
const t0 = Date.now()
const { TestPlc, TestPds, TestBsky, mockNetworkUtilities } = require('@atproto/dev-env')
const PLC = +(process.env.PLC_PORT ?? 2582), PDS = +(process.env.PDS_PORT ?? 2583), BSKY = +(process.env.BSKY_PORT ?? 2584)
const t1 = Date.now()
const plc = await TestPlc.create({ port: PLC })
let bsky
if (process.env.DB_POSTGRES_URL) {
  const schema = process.env.DB_POSTGRES_SCHEMA ?? 'bsky' // letters and _ only
  bsky = await TestBsky.create({
    port: BSKY, plcUrl: plc.url, pdsPort: PDS, repoProvider: `ws://localhost:${PDS}`,
    dbPostgresUrl: process.env.DB_POSTGRES_URL, dbPostgresSchema: schema,
    publicUrl: `http://localhost:${BSKY}`,
  })
}
const pds = await TestPds.create({
  port: PDS, hostname: 'localhost', didPlcUrl: plc.url, enableDidDocWithSession: true, inviteRequired: false,
  ...(bsky ? { bskyAppViewUrl: bsky.url, bskyAppViewDid: bsky.serverDid } : {}),
  ...(process.env.RATE_LIMITS ? { rateLimitsEnabled: true } : {}),
})
mockNetworkUtilities(pds, bsky)
const info = { plc: plc.url, pds: pds.url, bsky: bsky?.url, bskyDid: bsky?.serverDid, importMs: t1 - t0, bootMs: Date.now() - t1, pid: process.pid, rssMB: Math.round(process.memoryUsage().rss / 1e6) }
if (process.env.READY_FILE) fs.writeFileSync(process.env.READY_FILE, JSON.stringify(info))
console.log('READY ' + JSON.stringify(info))
const stop = async () => { try { await bsky?.close(); await pds.close(); await plc.close() } finally { process.exit(0) } }
process.on('SIGTERM', stop); process.on('SIGINT', stop)
