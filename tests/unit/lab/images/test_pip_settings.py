from lab.images import pip_settings

LISTING = """:env:.cert='/etc/company.pem'
:env:.find-links='/opt/wheels'
global.cert='/etc/other.pem'
global.extra-index-url='https://pypi.example/simple file:///srv/packages/simple'
global.timeout='60'
"""


def test_the_environment_is_preferred_to_files():
    assert pip_settings.read(LISTING)["cert"] == "/etc/company.pem"


def test_a_build_is_lent_registries_but_no_path_of_this_machine():
    text = pip_settings.for_build(pip_settings.read(LISTING))
    assert text == (
        "[global]\n"
        "extra-index-url = https://pypi.example/simple\n"
        "timeout = 60\n"
        "cert = /run/pip/certificates.pem\n"
    )


def test_a_machine_without_settings_lends_none():
    assert pip_settings.for_build(pip_settings.read("")) == "[global]\n"
