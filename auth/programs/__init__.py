"""Programs: AWS Cognito access tokens as Bearer credentials (RFC 6750)."""

from auth.programs.examination import examine_pool
from auth.programs.verifier import CognitoVerifier, cognito_verifier

__all__ = ["CognitoVerifier", "cognito_verifier", "examine_pool"]
