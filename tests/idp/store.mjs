// What the authorization server remembers: everything, in one Map, as long as the process lives.
// oidc-provider's own adapter forgets after 1 000 entries, which looks like a revoked grant.

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);
const TOKENS = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Memory {
  constructor() {
    this.rows = new Map(); // "Model:id" -> payload
    this.keysOfGrant = new Map(); // grant id -> Set of "Model:id"
    this.ids = new Map(); // "uid:…" or "code:…" -> id
    this.grantOfToken = new Map(); // token value -> {grantId, model}; kept after the token has gone
    this.accountOfGrant = new Map();
  }

  // The class oidc-provider makes one instance of for each of its models.
  adapter() {
    const memory = this;
    return class Adapter {
      constructor(model) {
        this.model = model;
      }

      key(id) {
        return `${this.model}:${id}`;
      }

      async upsert(id, payload) {
        memory.rows.set(this.key(id), payload);
        memory.index(this.model, id, this.key(id), payload);
      }

      async find(id) {
        return memory.rows.get(this.key(id));
      }

      async findByUid(uid) {
        return this.find(memory.ids.get(`uid:${uid}`));
      }

      async findByUserCode(userCode) {
        return this.find(memory.ids.get(`code:${userCode}`));
      }

      async consume(id) {
        const row = memory.rows.get(this.key(id));
        if (row) row.consumed = Math.floor(Date.now() / 1000);
      }

      async destroy(id) {
        memory.rows.delete(this.key(id));
      }

      async revokeByGrantId(grantId) {
        memory.forgetGrant(grantId);
      }
    };
  }

  index(model, id, key, payload) {
    const { grantId, uid, userCode } = payload;
    if (model === 'Session' && uid) this.ids.set(`uid:${uid}`, id);
    if (userCode) this.ids.set(`code:${userCode}`, id);
    if (model === 'Grant') this.accountOfGrant.set(id, payload.accountId);
    if (!grantId || !GRANTABLE.has(model)) return;
    if (!this.keysOfGrant.has(grantId)) this.keysOfGrant.set(grantId, new Set());
    this.keysOfGrant.get(grantId).add(key);
    if (TOKENS.has(model)) this.grantOfToken.set(id, { grantId, model });
  }

  forgetGrant(grantId) {
    for (const key of this.keysOfGrant.get(grantId) ?? []) this.rows.delete(key);
    this.keysOfGrant.delete(grantId);
  }

  // What a user does in the account settings: the grant and every token of it are gone.
  revoke(grantId) {
    const known = this.rows.delete(`Grant:${grantId}`);
    this.forgetGrant(grantId);
    return known;
  }

  // Is this token one that works now?
  isCurrent(value) {
    const origin = this.grantOfToken.get(value);
    const row = origin && this.rows.get(`${origin.model}:${value}`);
    return Boolean(row) && !row.consumed && row.exp * 1000 > Date.now();
  }

  // Every token ever made, so that a test can search its logs for them.
  everyToken() {
    return [...this.grantOfToken.keys()];
  }
}
