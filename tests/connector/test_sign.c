/* Digests, keys and signatures: published vectors, what the openssl command made with the keys below,
 * and signatures that libcrypto verifies. The keys were made for this test and are used nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <bursar/error.h>

#include "connector/sign.h"

static const char rsa_pkcs1[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                "MIIEowIBAAKCAQEAtbzilVjHm0iwlRC5bjg87aFaNgD6q5b0ufHf605wWQVrGlW6\n"
                                "3zgvE8GwDpSys867eJpYIPQYfW/pavoGfcmixbg9Uaf6ERuHPoaK9gd4PCUraYlY\n"
                                "L1R098qdoaU1Xqd1iUE6WAw+azYs5wbWMiaN8tcltlucupjDy9PQOS89VMNQIXwR\n"
                                "ZmqPWIzJECoMu3ojlMPShS8RSC2KeJ1i5cIjqfST0ZnddD5xaU9I2v6yPUNtsVuX\n"
                                "iaXiDWUTo6pUNaJLzAXGmqNAjt1kl9yfBR3MfTWHqTn14Vzm+D4j6/VHfJ23qmPV\n"
                                "FGP7fQWOcvBmXA7+j7JOurOegGMQZs5ip6p7dwIDAQABAoIBACKv0P1ZSwu/1Xg2\n"
                                "D3ZShIqEY9/v0uhCMSZ2XFsghv/usVD+8OJe6llWfABkcDEycYSkzNJJVI1IeWAi\n"
                                "JXAHtqoPLqDxsyBlxSvxaP9pUJEGNSF5BdxOvd53jRuHmUaeJqhSS0z31UgIOIzF\n"
                                "uMcspaYmWzvRg3n341L5dAIeGpIdO6xfeUYS3AlgWQnqZwDvF88Sq91tr1N/D7Tu\n"
                                "YN3Sxs9VH+9SW7gRbQ18ANB1NSAToUR4Ym7JmplakOBBkwRWlmlNArcA22sLeez5\n"
                                "ArPs6d0h1bXRyKmLdinzGFCry4jBFhhVQldbfj8TF4zQyj3lkUnkemKBzJGg9NsD\n"
                                "2HUQZxUCgYEA/npNaqqzSSOkqj2dZwN+0YlI64EQTlZFjXSERgfK//UpXitQpJpZ\n"
                                "wRFJxLueGjh723AWhwoid5AMpHykvn3AabhrT+15gri6jo7VQOweEB1sO0hnVdS9\n"
                                "ikkfrVTkO0W0SM2IO4SLEem8Szj/trykYMFoziFFa0nYo5IiqVHm4+UCgYEAttMx\n"
                                "CFhkK2GLrUVv3Qq2wQ9JhN5ziXuS2GRhCONVteSqUKp3IG0nb76WD9sFKO7lZ2Bg\n"
                                "B86Fm7DiylpaDZHIWLiCq+NQmRd0q5mSYT2RyT8T1C2BEXcydS8MFEvZ+sGEE+7+\n"
                                "ZhuX1p9S0/RBpg+tRUpzCvXpthhaTKidCkUeJCsCgYEAkp3mgsFs4IPfuJIdYR+7\n"
                                "boBZeg53VZsRIanzF+IfjI800WPFZ8DiW4FZbjbmpZbLjaer4wvsxdRB5HdH99S+\n"
                                "CmtNsNRSwQUrvzz+ExS3UXOSSymxF9ulhMoSrSwO/zNu5s88YYZBFgYEDZb+hct0\n"
                                "Labhenni5Ci836kvvTxJ+h0CgYAWI3zMheebWTSQxtfE7Ic02aUNceKLw2sEySL2\n"
                                "8JBwdkAphHrock9UOL/zK5J0YnllC0aVq2yCbekIl+hPvFeGZtFr/xrDbxOxs+cF\n"
                                "327H79t21gvLEaQKjKfpzUWYF9bmkwo7UxwP4Tsmb22DrmJNAbbsnNqwMkK9Ba3+\n"
                                "kGAWAQKBgH4cuDaSEBA4ZuI3aw83CmE5EITTOoBCwCJer+inCykIo0R5XB+FCL8S\n"
                                "3KD2gunpGhT8/N4uLwal4SBA4hLKyHA+a9YEn8Y9sEIX0GCzQwg/aSu4Gj9p4mKu\n"
                                "QoPi3w2mMBRbHXr0EtPGcUL5pbT6ZwcDbnuOL4NuJPurWc7doVwZ\n"
                                "-----END RSA PRIVATE KEY-----\n";
static const char rsa_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC1vOKVWMebSLCV\n"
                                "ELluODztoVo2APqrlvS58d/rTnBZBWsaVbrfOC8TwbAOlLKzzrt4mlgg9Bh9b+lq\n"
                                "+gZ9yaLFuD1Rp/oRG4c+hor2B3g8JStpiVgvVHT3yp2hpTVep3WJQTpYDD5rNizn\n"
                                "BtYyJo3y1yW2W5y6mMPL09A5Lz1Uw1AhfBFmao9YjMkQKgy7eiOUw9KFLxFILYp4\n"
                                "nWLlwiOp9JPRmd10PnFpT0ja/rI9Q22xW5eJpeINZROjqlQ1okvMBcaao0CO3WSX\n"
                                "3J8FHcx9NYepOfXhXOb4PiPr9Ud8nbeqY9UUY/t9BY5y8GZcDv6Psk66s56AYxBm\n"
                                "zmKnqnt3AgMBAAECggEAIq/Q/VlLC7/VeDYPdlKEioRj3+/S6EIxJnZcWyCG/+6x\n"
                                "UP7w4l7qWVZ8AGRwMTJxhKTM0klUjUh5YCIlcAe2qg8uoPGzIGXFK/Fo/2lQkQY1\n"
                                "IXkF3E693neNG4eZRp4mqFJLTPfVSAg4jMW4xyylpiZbO9GDeffjUvl0Ah4akh07\n"
                                "rF95RhLcCWBZCepnAO8XzxKr3W2vU38PtO5g3dLGz1Uf71JbuBFtDXwA0HU1IBOh\n"
                                "RHhibsmamVqQ4EGTBFaWaU0CtwDbawt57PkCs+zp3SHVtdHIqYt2KfMYUKvLiMEW\n"
                                "GFVCV1t+PxMXjNDKPeWRSeR6YoHMkaD02wPYdRBnFQKBgQD+ek1qqrNJI6SqPZ1n\n"
                                "A37RiUjrgRBOVkWNdIRGB8r/9SleK1CkmlnBEUnEu54aOHvbcBaHCiJ3kAykfKS+\n"
                                "fcBpuGtP7XmCuLqOjtVA7B4QHWw7SGdV1L2KSR+tVOQ7RbRIzYg7hIsR6bxLOP+2\n"
                                "vKRgwWjOIUVrSdijkiKpUebj5QKBgQC20zEIWGQrYYutRW/dCrbBD0mE3nOJe5LY\n"
                                "ZGEI41W15KpQqncgbSdvvpYP2wUo7uVnYGAHzoWbsOLKWloNkchYuIKr41CZF3Sr\n"
                                "mZJhPZHJPxPULYERdzJ1LwwUS9n6wYQT7v5mG5fWn1LT9EGmD61FSnMK9em2GFpM\n"
                                "qJ0KRR4kKwKBgQCSneaCwWzgg9+4kh1hH7tugFl6DndVmxEhqfMX4h+MjzTRY8Vn\n"
                                "wOJbgVluNuallsuNp6vjC+zF1EHkd0f31L4Ka02w1FLBBSu/PP4TFLdRc5JLKbEX\n"
                                "26WEyhKtLA7/M27mzzxhhkEWBgQNlv6Fy3QtpuF6eeLkKLzfqS+9PEn6HQKBgBYj\n"
                                "fMyF55tZNJDG18TshzTZpQ1x4ovDawTJIvbwkHB2QCmEeuhyT1Q4v/MrknRieWUL\n"
                                "RpWrbIJt6QiX6E+8V4Zm0Wv/GsNvE7Gz5wXfbsfv23bWC8sRpAqMp+nNRZgX1uaT\n"
                                "CjtTHA/hOyZvbYOuYk0Btuyc2rAyQr0Frf6QYBYBAoGAfhy4NpIQEDhm4jdrDzcK\n"
                                "YTkQhNM6gELAIl6v6KcLKQijRHlcH4UIvxLcoPaC6ekaFPz83i4vBqXhIEDiEsrI\n"
                                "cD5r1gSfxj2wQhfQYLNDCD9pK7gaP2niYq5Cg+LfDaYwFFsdevQS08ZxQvmltPpn\n"
                                "BwNue44vg24k+6tZzt2hXBk=\n"
                                "-----END PRIVATE KEY-----\n";
static const char rsa_1024[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                               "MIICXAIBAAKBgQDM3nmFp+ivhP3Xa5MP9g3bbGh7FlT64h784yOpARmXnqDt8EB5\n"
                               "g/Y98mkQ7KJPmHR9YKAUM6vJyBRU+AOsSo5wHjvd7EvILFGP8Kn8eTCjESshYff9\n"
                               "/RXbF/1sDivO746gADgPhXVXj9FSmqC33eCup1tsEcaQLZewH726M4ISUwIDAQAB\n"
                               "AoGAUvU7rD2j4X8u8w5ijLIMRnANltoiKz1pYunvRL5nSJg5fmAtG4euLMN+fBX2\n"
                               "W9jWQvbfm46Y36qfYRDVG+1M46w4QLcJS6FnTKZwffMe1sbFvro8UF54d9Dco4cM\n"
                               "eTijebLwJBboD6AB7Fa/f4A0qLT/k0JOyPk8Q1sHtLpf1SECQQDpqydLLAcwJcXn\n"
                               "vIkpRImne6MIM/1W12A4p0Li9BPlztSoLPHOdH8Kpv+vY/AnmB6rPTGlK37HvLEW\n"
                               "XKcga7u7AkEA4HK5ETKO5LiSAqCBfxEkm0h0ONKBTrQHrgnQdlNgAKfKWyHBmXvB\n"
                               "xeDy7ebE5eqih190puPFcNcwlo5H0jL+SQJAOguiPzI4tuUrPF3BVNcJuukjnq4L\n"
                               "iL8H0Ar8upQXPUcb3IsNplOaG3NQoKkaxzsqoy8YXgdn/wYIl518hrk8cQJAVNaI\n"
                               "ZZu6r3GknyGUUTdlotxsMd4/ykP6cyp6hX9WVmkV8AR+bUl+IRG6QXptCor6DDlk\n"
                               "moCV7OUqFH6LX0SvIQJBAN6L4XeYUYl+sSGuuvw/ILOiBYyM6NPCkWrVzH+evGEM\n"
                               "JpRhw0BSJ1msQZCcasZsmuL18G+RfVCYb38KYvo8VS8=\n"
                               "-----END RSA PRIVATE KEY-----\n";
static const char rsa_768[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                              "MIIBywIBAAJhAKFlElGDdzJz1Cavx7NUSTo3Ol+gfCC3S8aSspdGzSinkgZM5i2o\n"
                              "mzuGmBUOVDg9aKx/U6TtV2vAvLnnyhndn4IRGUpOS2nMgW8emouSjukdCwR8inU7\n"
                              "ZqPXcl2hos9q0QIDAQABAmB5YlTWrbOWZHso5Yeinj+84xCqHz98M59wJ6DeGcfv\n"
                              "TaiLyIZNzMODj4UOQQqiibvgSbhkEJDyeH06584P3iaARwfgflJtkTejZpoUpvvb\n"
                              "AS3Dgj92xfKVjQtLzEJ5QgkCMQDNtcT8uSzwkN/VEtNT/pelLH12jXth2zxC6ieA\n"
                              "TCe2vj2RB2Lxz+QcvWiTEv4bHZsCMQDI2dyzEGrTjm6nik3Pv6XtYWHwqRqCjvI8\n"
                              "UzWgacprEgD1hP2AQTxve4KambRkVgMCMQDMbeySns/rTn4yuN+tJGC9tCYG7/mC\n"
                              "uSX89chFtujsschrXWTWHJx8dzr6ljBS8CsCMQCRGeN5cZjbcYC7hQ0l0vyae8n3\n"
                              "xRMj0wVpU2vgkczsgTs0JHnHWFnC6GW4LubFveUCMFQFPci3c79fRw+uA59BMsrY\n"
                              "M9pW9aOPanAlbKg+10JYYzrCUl77QFtXGv7cDZDVLA==\n"
                              "-----END RSA PRIVATE KEY-----\n";
static const char p256_sec1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHcCAQEEIOvB8tQObwz96OMsafh2brIogwIULksWr3aWDzCeEX6+oAoGCCqGSM49\n"
                                "AwEHoUQDQgAEZ92Kgjdocd65TmYHAo43FwvMGFO02H/Ian/s9vj4FtWPAr7sz/+R\n"
                                "LI3MBdYSLfiXZIVwfOcX8mweFfvSaAAuxg==\n"
                                "-----END EC PRIVATE KEY-----\n";
static const char p256_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg68Hy1A5vDP3o4yxp\n"
    "+HZusiiDAhQuSxavdpYPMJ4Rfr6hRANCAARn3YqCN2hx3rlOZgcCjjcXC8wYU7TY\n"
    "f8hqf+z2+PgW1Y8CvuzP/5EsjcwF1hIt+JdkhXB85xfybB4V+9JoAC7G\n"
    "-----END PRIVATE KEY-----\n";
static const char p384[] = "-----BEGIN EC PRIVATE KEY-----\n"
                           "MIGkAgEBBDBbr+2Jl3N8l4xThsTv1352NtS7FJ8Ch6hucYxEfBzG5sWniBXkmoeI\n"
                           "82L4+rqlEM+gBwYFK4EEACKhZANiAASxjAKO2UEKBxWxYF1/yF5d1sCiiuQw//kP\n"
                           "UzrjjD/4bOyF3chkDXvAGbe0vtYiVo/oI8peuf8N5gMeUYgQ7u5MGgk39Ped+wPT\n"
                           "nEOIie7XxG8Lf1MAU4/giJO793vBEYM=\n"
                           "-----END EC PRIVATE KEY-----\n";
static const char secp256k1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHQCAQEEIMXERjvJoxCL+ZFPeDnfj+uf2bnC+deprsg4Zm6VpJvEoAcGBSuBBAAK\n"
                                "oUQDQgAE1+eCPy/K0eGo+EgwF3/s2B17v/xUnxpophG4Mr39T9WLYsCk7Q+eS9hP\n"
                                "ThNRImhnfwNWzEA6tLyLje6kF6Em6g==\n"
                                "-----END EC PRIVATE KEY-----\n";
static const char encrypted_pkcs8[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiC40VabHZTogICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENiXFBKLCAvGRgxnxRG9Q6sEgZDF\n"
    "ydpA98TIy8vmrTsahkIO/QPPKqOjAHqHy7adowF0DF96unEJZys5wZ6J+tYmKODS\n"
    "TYUJJX+wSvOUu6qn73acY9Aiw+1vkaSPiBNK7oQ+Shl5JW6iqJFy1uHHEG0Z2m+f\n"
    "byEkNd4zh5rs2CQG0MhduL4OCfD6G2IsN7SKtZbvI/oYvxplMcP/so/2wa7mh8k=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char encrypted_sec1[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,674BE0CC6A2B1014D0C59EC37BD2F82B\n"
    "\n"
    "HqtSg4qGUpj1Zd7S2T5tPY//ChQ1bF8Ut2xDh1mL6QWgPtTzluP0qalM3N/5kKin\n"
    "SnIe+yDdZPdj7vLssK69It48wyua5OPK5uebm+iMjfk3TWrzc6ZGzTLSSAPc4l3B\n"
    "+mApfDAI4g0kC6igxRhO/Cih+Ouk4HUYKvwhlO9mpeo=\n"
    "-----END EC PRIVATE KEY-----\n";
static const char ed25519[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIMDXaKX1n/oH99bjZRr5aSobYEW5SDt+C5iFitrXwEcT\n"
                              "-----END PRIVATE KEY-----\n";
static const char p256_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ92Kgjdocd65TmYHAo43FwvMGFO0\n"
    "2H/Ian/s9vj4FtWPAr7sz/+RLI3MBdYSLfiXZIVwfOcX8mweFfvSaAAuxg==\n"
    "-----END PUBLIC KEY-----\n";
static const char rs256_want[] = "521a4be22f4d741ca7d634bd0e08f4ed3c314b93561167efddd888f28706928c"
                                 "eca11f58db1601c597d2790edbc823d35b459ce506a03cccb16633bfedc6a7bc"
                                 "76b0753be9defe36641da34a59a8714f48c0a319dd440f1b46fd522a2552850c"
                                 "1533a8ef0a0a00f86302a7f552ce721da777fab5411e065305670c0a90e55495"
                                 "37e58eb7d6baa3ddb6053f53c1ddcfc2da9e1b254eafdbe26f8f579c69826b9c"
                                 "81d866e8fe7c9c2d37640bb80951ada2346f9f83501036dac8963a3a9073e6a6"
                                 "45fad086b4f6d52c1db03e47a254186cdaf6669b43fe799164585f3f040078a3"
                                 "72402b716f632e1e10a4d6d527c08b283187099f6eab7faacc1a4ca217d13238";
static const char rsa_sha1_want[] =
    "7b2b0667d7cdbd5aedec21fb6356fabb55f8e50d301c957796ed4c26ccd26fba"
    "6571cbb17ddb4a0b27abf3d67f18dfb33a3f13433c739b474c49ce67912be6e0"
    "0ad9f5c4340424f4e7f7ec690265ea2420cb89cac67c8819d2aee47702c899b9"
    "043015407b3e54f06b3a657b2e0ccb1521adf875d7d23b583259ccae5af0c2b8";

static const char message[] = "what is signed";

static void assert_hex(const uint8_t *bytes, size_t len, const char *want)
{
    assert_int_equal(len * 2, strlen(want));
    for (size_t i = 0; i < len; i++) {
        char pair[3];
        snprintf(pair, sizeof pair, "%02x", (unsigned)bytes[i]);
        assert_memory_equal(pair, want + 2 * i, 2);
    }
}

/* ---- digests ----------------------------------------------------------------------------------- */

/* FIPS 180-4's own examples, and the digests of nothing. */
static const struct {
    enum sign_hash hash;
    const char *data, *want;
} digests[] = {
    {SIGN_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {SIGN_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {SIGN_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {SIGN_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {SIGN_SHA512, "abc",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void test_digests(void **state)
{
    uint8_t out[SIGN_DIGEST_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        assert_int_equal(sign_digest(digests[i].hash, text_of(digests[i].data), out), 0);
        assert_hex(out, sign_digest_len(digests[i].hash), digests[i].want);
    }
    assert_int_equal(sign_digest(SIGN_SHA1, text_of(NULL), out), 0);
    assert_hex(out, 20, digests[1].want);
}

/* RFC 2202 and RFC 4231, test case 2, and a key that is longer than a block. */
static const struct {
    enum sign_hash hash;
    const char *key;
    size_t key_repeat; /* how many times the key's one byte */
    const char *data, *want;
} hmacs[] = {
    {SIGN_SHA1, "Jefe", 0, "what do ya want for nothing?",
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {SIGN_SHA1, "\xaa", 80, "Test Using Larger Than Block-Size Key - Hash Key First",
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {SIGN_SHA256, "Jefe", 0, "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {SIGN_SHA256, "\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {SIGN_SHA512, "Jefe", 0, "what do ya want for nothing?",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {SIGN_SHA256, "", 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void test_hmacs(void **state)
{
    uint8_t out[SIGN_DIGEST_MAX];
    char repeated[256];
    (void)state;
    for (size_t i = 0; i < sizeof hmacs / sizeof hmacs[0]; i++) {
        struct text key = text_of(hmacs[i].key);
        if (hmacs[i].key_repeat > 0) {
            memset(repeated, hmacs[i].key[0], hmacs[i].key_repeat);
            key = (struct text){repeated, hmacs[i].key_repeat};
        }
        assert_int_equal(sign_hmac(hmacs[i].hash, key, text_of(hmacs[i].data), out), 0);
        assert_hex(out, sign_digest_len(hmacs[i].hash), hmacs[i].want);
    }
}

/* ---- keys -------------------------------------------------------------------------------------- */

static struct sign_key *key_of(const char *pem)
{
    struct sign_key *key = NULL;
    const char *problem = NULL;
    if (sign_key_new(text_of(pem), &key, &problem) != 0)
        fail_msg("%s", problem);
    return key;
}

static const struct {
    const char *pem;
    bool fits[3]; /* RS256, RSA-SHA1, ES256 */
} keys[] = {
    {rsa_pkcs1, {true, true, false}},  {rsa_pkcs8, {true, true, false}},
    {rsa_1024, {false, true, false}},  {rsa_768, {false, false, false}},
    {p256_sec1, {false, false, true}}, {p256_pkcs8, {false, false, true}},
    {p384, {false, false, false}},     {secp256k1, {false, false, false}},
    {ed25519, {false, false, false}},
};

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct sign_key *key = key_of(keys[i].pem);
        for (size_t j = 0; j < 3; j++) {
            struct buf out = buf_make(1024);
            int result = sign_data(key, (enum sign_algorithm)j, text_of(message), &out);
            bool is_told = sign_key_problem(key, (enum sign_algorithm)j) != NULL;
            assert_int_equal(result, keys[i].fits[j] ? 0 : BURSAR_E_CONFIG);
            assert_int_equal(is_told, !keys[i].fits[j]);
            assert_int_equal(out.len > 0, keys[i].fits[j]);
            buf_free(&out);
        }
        sign_key_free(key);
    }
    sign_key_free(NULL);
}

static const struct {
    const char *pem, *problem;
} wrong_keys[] = {
    {"", "no private key in PEM"},
    {"secret", "no private key in PEM"},
    {"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "no private key in PEM"},
    {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key in PEM"},
    {p256_public, "no private key in PEM"},
    {encrypted_pkcs8, "the private key is encrypted"},
    {encrypted_sec1, "the private key is encrypted"},
};

static void test_wrong_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_keys / sizeof wrong_keys[0]; i++) {
        struct sign_key *key = NULL;
        const char *problem = NULL;
        int result = sign_key_new(text_of(wrong_keys[i].pem), &key, &problem);
        assert_int_equal(result, BURSAR_E_CONFIG);
        assert_null(key);
        assert_string_equal(problem, wrong_keys[i].problem);
        assert_int_equal(sign_key_new(text_of(wrong_keys[i].pem), &key, NULL), BURSAR_E_CONFIG);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* A key that is cut off anywhere is none. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t len = 0; len + 30 < strlen(p256_pkcs8); len++) {
        struct sign_key *key = NULL;
        assert_int_equal(sign_key_new((struct text){p256_pkcs8, len}, &key, NULL), BURSAR_E_CONFIG);
        assert_null(key);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

/* Ends of lines as other systems write them, and text around the key. */
static void test_surroundings(void **state)
{
    struct buf pem = buf_make(4096);
    (void)state;
    buf_append_string(&pem, "made for somebody\r\n");
    for (const char *at = p256_pkcs8; *at; at++) {
        if (*at == '\n')
            buf_append_byte(&pem, '\r');
        buf_append_byte(&pem, (uint8_t)*at);
    }
    buf_append_string(&pem, "behind it\n");
    struct sign_key *key = key_of((const char *)pem.data);
    assert_null(sign_key_problem(key, SIGN_ES256));
    sign_key_free(key);
    buf_free(&pem);
}

/* ---- signatures -------------------------------------------------------------------------------- */

static void assert_signature(const char *pem, enum sign_algorithm algorithm, const char *want)
{
    struct sign_key *key = key_of(pem);
    struct buf out = buf_make(1024);
    assert_int_equal(sign_data(key, algorithm, text_of(message), &out), 0);
    assert_hex(out.data, out.len, want);
    buf_free(&out);
    sign_key_free(key);
}

/* RSASSA-PKCS1-v1_5 has one signature for each key and text. */
static void test_rsa(void **state)
{
    (void)state;
    assert_signature(rsa_pkcs1, SIGN_RS256, rs256_want);
    assert_signature(rsa_pkcs8, SIGN_RS256, rs256_want);
    assert_signature(rsa_1024, SIGN_RSA_SHA1, rsa_sha1_want);
}

static bool is_ecdsa(const uint8_t raw[static 64], const char *text)
{
    BIO *bio = BIO_new_mem_buf(p256_public, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t *der = NULL;
    assert_true(key && pair && context);
    ECDSA_SIG_set0(pair, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    int der_len = i2d_ECDSA_SIG(pair, &der);
    assert_true(der_len > 0);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    int result =
        EVP_DigestVerify(context, der, (size_t)der_len, (const uint8_t *)text, strlen(text));
    ERR_clear_error();
    OPENSSL_free(der);
    EVP_MD_CTX_free(context);
    ECDSA_SIG_free(pair);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return result == 1;
}

/* Often enough that numbers with leading zeros are among them. */
static void test_ecdsa(void **state)
{
    struct sign_key *key = key_of(p256_sec1);
    struct buf out = buf_make(64);
    size_t with_zero = 0;
    (void)state;
    for (size_t i = 0; i < 20000 && with_zero < 2; i++) {
        buf_clear(&out);
        assert_int_equal(sign_data(key, SIGN_ES256, text_of(message), &out), 0);
        assert_int_equal(out.len, 64);
        bool has_zero = out.data[0] == 0 || out.data[32] == 0;
        with_zero += has_zero ? 1 : 0;
        if (has_zero || i == 0)
            assert_true(is_ecdsa(out.data, message));
    }
    assert_int_equal(with_zero, 2);
    assert_false(is_ecdsa(out.data, "another text"));
    out.data[40] ^= 1;
    assert_false(is_ecdsa(out.data, message));
    sign_key_free(key);
    buf_free(&out);
}

static void test_no_room(void **state)
{
    struct sign_key *key = key_of(p256_sec1);
    struct buf out = buf_make(63);
    (void)state;
    assert_int_equal(sign_data(key, SIGN_ES256, text_of(message), &out), BURSAR_E_TOO_BIG);
    sign_key_free(key);
    buf_free(&out);
}

/* RFC 4648 section 10 without the padding, and RFC 7515 appendix C. */
static void test_base64url(void **state)
{
    static const struct {
        const char *bytes, *want;
    } cases[] = {{"", ""},
                 {"f", "Zg"},
                 {"fo", "Zm8"},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg"},
                 {"fooba", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy"},
                 {"\x03\xec\xff\xe0\xc1", "A-z_4ME"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = buf_make(64);
        sign_append_base64url(&out, text_of(cases[i].bytes));
        assert_int_equal(out.len, strlen(cases[i].want));
        if (out.len > 0)
            assert_memory_equal(out.data, cases[i].want, out.len);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests), cmocka_unit_test(test_hmacs),
        cmocka_unit_test(test_keys),    cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_cut_off), cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_rsa),     cmocka_unit_test(test_ecdsa),
        cmocka_unit_test(test_no_room), cmocka_unit_test(test_base64url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
