/**
 * OpenSSL's libcrypto, version 3: one table of all functions in use. It is loaded on first use. All
 * lengths here are below 2^31, so 32 bits suffice for a `size_t`.
 *
 * @module
 */
import { SysError } from "../errors.ts";

/** The library's file name. Debian ships it in libssl3. */
export const LIBCRYPTO = "libcrypto.so.3";

const SYMBOLS = {
  // const char *OpenSSL_version(int type);
  OpenSSL_version: { parameters: ["i32"], result: "pointer" },
  // unsigned long ERR_peek_last_error(void);
  ERR_peek_last_error: { parameters: [], result: "u64" },
  // void ERR_clear_error(void);
  ERR_clear_error: { parameters: [], result: "void" },
  // const char *ERR_reason_error_string(unsigned long e);
  ERR_reason_error_string: { parameters: ["u64"], result: "pointer" },

  // const EVP_CIPHER *EVP_chacha20_poly1305(void);
  EVP_chacha20_poly1305: { parameters: [], result: "pointer" },
  // EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  // void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx);  Wipes what it frees.
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_CipherInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *type, const unsigned char *key,
  //                        const unsigned char *iv, int enc, const OSSL_PARAM params[]);
  EVP_CipherInit_ex2: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "i32", "pointer"],
    result: "i32",
  },
  // int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char
  // *in, int inl);
  EVP_CipherUpdate: { parameters: ["pointer", "pointer", "pointer", "pointer", "i32"], result: "i32" },
  // int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *outm, int *outl);
  EVP_CipherFinal_ex: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  // int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "pointer"], result: "i32" },

  // EVP_PKEY *EVP_PKEY_new_raw_private_key(int type, ENGINE *e, const unsigned char *key, size_t
  // keylen);
  EVP_PKEY_new_raw_private_key: { parameters: ["i32", "pointer", "buffer", "u32"], result: "pointer" },
  // EVP_PKEY *EVP_PKEY_new_raw_public_key(int type, ENGINE *e, const unsigned char *key, size_t
  // keylen);
  EVP_PKEY_new_raw_public_key: { parameters: ["i32", "pointer", "buffer", "u32"], result: "pointer" },
  // int EVP_PKEY_get_raw_public_key(const EVP_PKEY *pkey, unsigned char *pub, size_t *len);
  EVP_PKEY_get_raw_public_key: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  // void EVP_PKEY_free(EVP_PKEY *key);  Wipes a private key.
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },
  // EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *pkey, ENGINE *e);
  EVP_PKEY_CTX_new: { parameters: ["pointer", "pointer"], result: "pointer" },
  // void EVP_PKEY_CTX_free(EVP_PKEY_CTX *ctx);
  EVP_PKEY_CTX_free: { parameters: ["pointer"], result: "void" },
  // int EVP_PKEY_derive_init(EVP_PKEY_CTX *ctx);
  EVP_PKEY_derive_init: { parameters: ["pointer"], result: "i32" },
  // int EVP_PKEY_derive_set_peer(EVP_PKEY_CTX *ctx, EVP_PKEY *peer);
  EVP_PKEY_derive_set_peer: { parameters: ["pointer", "pointer"], result: "i32" },
  // int EVP_PKEY_derive(EVP_PKEY_CTX *ctx, unsigned char *key, size_t *keylen);
  EVP_PKEY_derive: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },

  // int RAND_priv_bytes(unsigned char *buf, int num);
  RAND_priv_bytes: { parameters: ["buffer", "i32"], result: "i32" },
  // const EVP_MD *EVP_sha256(void);
  EVP_sha256: { parameters: [], result: "pointer" },
  // int EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size,
  //                const EVP_MD *type, ENGINE *impl);
  EVP_Digest: { parameters: ["buffer", "u32", "buffer", "pointer", "pointer", "pointer"], result: "i32" },
  // unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char
  // *data, size_t data_len, unsigned char *md, unsigned int *md_len);
  HMAC: {
    parameters: ["pointer", "buffer", "i32", "buffer", "u32", "buffer", "pointer"],
    result: "pointer",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The library's functions. All calls are synchronous. */
export type Libcrypto = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** A pointer to a structure of the library. */
export type Pointer = Deno.PointerObject;

let loaded: Libcrypto | undefined;

/**
 * The library, loaded by the first call.
 *
 * @throws if the library is missing or must not be loaded
 */
export function libcrypto(): Libcrypto {
  return loaded ??= Deno.dlopen(LIBCRYPTO, SYMBOLS).symbols;
}

/** `<openssl/crypto.h>`: the version as digits and dots. */
const OPENSSL_FULL_VERSION_STRING = 7;

/** The library's version, e.g. `3.0.19`. */
export function libcryptoVersion(): string {
  return Deno.UnsafePointerView.getCString(libcrypto().OpenSSL_version(OPENSSL_FULL_VERSION_STRING)!);
}

/**
 * Throws if a call failed.
 *
 * @param result 1 for success
 * @param doing the beginning of the error message, e.g. `Cannot make a key`
 * @param call the name of the call
 * @throws {SysError} with the library's reason
 */
export function checkDone(result: number, doing: string, call: string): void {
  if (result !== 1) throw failure(doing, call);
}

/**
 * Returns the structure that a call created.
 *
 * @param pointer `null` for failure
 * @throws {SysError} with the library's reason
 */
export function checkMade(pointer: Deno.PointerValue, doing: string, call: string): Pointer {
  if (pointer === null) throw failure(doing, call);
  return pointer;
}

/** The error of a failed call, with the library's reason. */
function failure(doing: string, call: string): SysError {
  const reason = libcrypto().ERR_reason_error_string(libcrypto().ERR_peek_last_error());
  return new SysError(doing, call, reason === null ? "no reason" : Deno.UnsafePointerView.getCString(reason));
}
