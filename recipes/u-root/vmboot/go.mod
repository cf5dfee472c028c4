module vmbuild/vmboot

go 1.25.7

require (
	github.com/bobuhiro11/gokvm v0.0.8-0.20231003020000-f53faca69d28
	github.com/u-root/u-root v0.16.0
	golang.org/x/sys v0.41.0
)
