package providers

// KeepNonce is what the vault does with the nonce of an answer.
var KeepNonce = keepNonce
