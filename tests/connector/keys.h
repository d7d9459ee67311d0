/* Private keys of tests alone, as a double-quoted YAML text has them: line breaks are \n.
 * Thread: any; constants. */
#ifndef TESTS_CONNECTOR_KEYS_H
#define TESTS_CONNECTOR_KEYS_H

#define KEYS_RSA_YAML                                                     \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDHt/dURzSTLoXL\\n" \
    "P9Mo686x9Q7HMTLKBeqgqmqbWET+B/Uzz2TvusMGqE+V0g08M+0/p2GxX0tIqOY/\\n" \
    "ujnANxd+3W7H62eE61Y2DtcTuB+GwENlJumceICVSvuQ+cfKLl0itV7eUURo2ToP\\n" \
    "3V8EZ6SXI5tL7wDq2WnVTb7sGZDF/1Vs2K4nu89eSsPOWpvT02ss8zU3qfUq/Avv\\n" \
    "S8aZP4T8WyIydc1C2/uplh6+fdAEubXQyanvu/WL7bMHTxArq4HR3hdugCRBK5/y\\n" \
    "zWYLEWICX1QcArUGBwyhWzFj85RnTsFVfREd9x2Sxdd0d6pBTCULrY3va6/nAdZw\\n" \
    "6Qe+/7rbAgMBAAECggEAA/0tBjjvmEEZ2zUno2/20Jlw2eNy1kcBG6YRDLJimuqP\\n" \
    "ksM9YCndRyIQEN5bDre8Qh6UfqNnLm89LHVoX9B8AvOzmbRrHrlqlo+eUaLgC+yF\\n" \
    "v0dsyWXWnX5XiZ8LizXOMDX7OyDpZy08mnnqU/SPuFBpDEctwAMR2wnD2r/TkjBA\\n" \
    "MW0QGmZ4FZyhIgP+r+F2sJILvIY0El4E7ECt0yXaya0ABFAnwWfQT3ea+VV5LMLZ\\n" \
    "Ikz7Nh799CATLgSrUG+R/c1H7zf5w1mkLT0nuDmUSc52lhAxjMozCgMey+bhvxjU\\n" \
    "UKjWH5VVAARXo98/Ttd3KWl/MBCTeFL3NHHzTRbQUQKBgQD6B38+Vx/fU+3R5Ci+\\n" \
    "V/1AohprHddw38gpecZ726a+DiybAz4nwxfKJjjOvlTbEPEHNV7pJwaNtv5UGnRz\\n" \
    "f4Z0Dokvv8/lsy0/hHOyBaxFHPV7eq65R4kr8FhBwKepi/oB47Jv1UUiF2YP8+Am\\n" \
    "iqiEyeXXlNB9tWQxbu/W0eIwywKBgQDMfOe0aPDTiuREWoHwcIxvGp6UJ4LhOSjS\\n" \
    "1OiH2i5Cq7Oz0y3at0hpU8PjvHS9d7oMLFj0FShqJjJwTntDZf0jZiIJHNIfEZaN\\n" \
    "3eZPPuGFgUhQLfF7r3fu3/UKx3tksnKfZ7WaRaPVIiAYgZx+FUNbc6wzm2uIzO8M\\n" \
    "xU1RbESsMQKBgHFmTRPdOBt2WXrE3KXYCojx/MFwe3I6TPJixN8QNIQmsZxs0BgA\\n" \
    "qB2LUGCUerAQ8wCt+CoPBS3pPViv1vk7caPZo+cAPC6WIYOZc0/eus9t3vjuH6jx\\n" \
    "BQnkrGLGGkUPs4h/2UJXnE9mBWhe198jLGNtns00NYuOZa71/dmUv94ZAoGAZ2v8\\n" \
    "3Ff/BV7H2HJWKb8ip8a00YWyQirgpNEd0ifdIccpmheCp43vR6Yf+vyDppf5NtLv\\n" \
    "InPY/ubWt8pZuVrJzq+HI0i6VRBWLuY953KMKTOb2UGDUuUKKXyHuK3vkJxYMJsJ\\n" \
    "VD9IfzFFPl+/QF2MtaIpQ+ilWIkdlj3rvvSdPuECgYEAzGN9Cw915Jq5K6rX7Caa\\n" \
    "S1L5Vv79FwvQ4HLb1dUQzbpJUXAZtNUrZsJQBNV5WtJmkNGn9K7n+2WYoT+tDJZp\\n" \
    "DpRb2d7/ub+e0P6PLkkzA5//DbSvFooWvJymq1+WyeuFeObYazA8FdAS5jWyxFvk\\n" \
    "tNhqZbb4vQstIlJ52bu5Eq0=\\n"                                         \
    "-----END PRIVATE KEY-----\\n"

#define KEYS_EC_YAML                                                      \
    "-----BEGIN PRIVATE KEY-----\\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6JR+P+UztUwKPZ9k\\n" \
    "QaaYeWCvK3WpKQiYSUAjEc1PEL6hRANCAAQ4Yy9giNOzOv7To6zT4g8hhdqVlC3J\\n" \
    "WjtIaVdPT7N63ZlDwLrRQDL9ehLQ9THnUIEvinqPilqwDknmkuwbchWK\\n"         \
    "-----END PRIVATE KEY-----\\n"

#endif
